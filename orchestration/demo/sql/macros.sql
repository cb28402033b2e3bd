-- Every random number is a hash of (seed, what it is for, whose it is). So the rows are the same
-- on any machine and with any number of threads, and one more draw changes no other.

-- A fraction of 53 bits in [0, 1).
create macro draw(purpose, subject) as (
    (md5_number_lower(concat(getvariable('seed'), ':', purpose, ':', subject)) >> 11)
    / 9007199254740992.0
);

-- A standard normal number (Box-Muller); 1 - draw() is never 0.
create macro draw_normal(purpose, subject) as (
    sqrt(-2 * ln(1 - draw(concat(purpose, '/radius'), subject)))
    * cos(2 * pi() * draw(concat(purpose, '/angle'), subject))
);

-- An id in the shape of a UUID. It hangs on now as well: a sample of a later day has other times,
-- and an id must keep its occurred_at where both are loaded.
create macro draw_id(purpose, subject) as (
    cast(
        cast(
            md5(concat(getvariable('seed'), ':', getvariable('now'), ':', purpose, ':', subject))
            as uuid
        ) as varchar
    )
);

-- An instant plus whole milliseconds: every text format then carries it without loss.
create macro plus_ms(instant, ms) as (
    instant + to_milliseconds(cast(floor(ms) as bigint))
);

-- The value for the load bucket of so many running instances.
create macro by_load(running_instances, at_low, at_medium, at_high) as (
    case
        when running_instances >= 6 then at_high
        when running_instances >= 3 then at_medium
        else at_low
    end
);
