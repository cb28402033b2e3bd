-- Reads usage; makes ratings (good ones), ratings_redelivered and ratings_bad.

create table ratings as
with

rated as (
    select
        *,
        plus_ms(occurred_at, 10000 + 900000 * draw('rated after', number)) as rated_at
    from usage
    where draw('rated', number) < 0.061 and error_type is null
)

select
    number,
    draw_id('feedback', number) as feedback_id,
    customer_id,
    agent_type_id,
    case when draw('rated agent', number) >= 0.04 then agent_id end as agent_id,
    event_id,
    model_used,
    cast(
        greatest(1, least(5, round(mean_stars + 0.95 * draw_normal('stars', number)))) as integer
    ) as rating,
    case when draw('load lost', number) >= 0.03 then running_instances end as running_instances,
    rated_at as occurred_at,
    least(getvariable('now'), rated_at + interval 1 second) as received_at
from rated
where rated_at < getvariable('now');

create table ratings_redelivered as
select * from ratings
where draw('repeat rating', number) < 0.01
union
(select * from ratings order by number limit 3);

-- Zero stars, and a thumb down where stars belong.
create table ratings_bad as
with

spoiled as (
    select
        *,
        row_number() over (order by draw('spoil rating', number), number) as position
    from ratings
    order by position
    limit 4
)

select
    * exclude (position) replace (
        draw_id('spoiled rating', number) as feedback_id,
        case when position <= 3 then 0 else -1 end as rating
    )
from spoiled;
