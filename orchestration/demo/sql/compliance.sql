-- Reads usage; makes audits (good scans), audits_redelivered and audits_bad.

create table audits as
with

scans as (
    select
        usage.*,
        scan_number,
        draw('toxic', usage.number) < 0.005 as is_toxic_response,
        -- One in five of these draws no entity below, so about 7 % of the messages have some.
        draw('pii', usage.number) < 0.137 * usage.pii_factor as has_pii
    from usage
    cross join range(1, 4) as scan_numbers (scan_number)
    where
        draw('scanned', usage.number) < 0.6
        and error_type is null
        -- One in twenty is scanned again, and one in a hundred a third time.
        and (
            scan_number = 1
            or (scan_number = 2 and draw('scanned again', usage.number) < 0.05)
            or (scan_number = 3 and draw('scanned again', usage.number) < 0.01)
        )
),

entity_types (entity_type, likelihood) as (
    values
    ('EMAIL_ADDRESS', 0.42),
    ('PHONE_NUMBER', 0.30),
    ('PERSON', 0.34),
    ('LOCATION', 0.16),
    ('CREDIT_CARD', 0.08),
    ('IBAN_CODE', 0.04),
    ('US_SSN', 0.02)
),

-- Only a first scan finds personal data: by the second it has been redacted.
entities_found as (
    select
        scans.number,
        entity_types.entity_type,
        cast(
            1 + floor(2.4 * power(draw(concat('pii of ', entity_type), scans.number + 0.5), 3))
            as bigint
        ) as redactions
    from scans
    cross join entity_types
    where
        scans.has_pii
        and scans.scan_number = 1
        and draw(concat('pii ', entity_type), scans.number) < entity_types.likelihood
),

entities_per_message as (
    select
        number,
        map_from_entries(list((entity_type, redactions) order by entity_type)) as pii_redactions
    from entities_found
    group by number
),

scored as (
    select
        *,
        round(
            case
                when is_toxic_response and scan_number = 1
                    then 0.55 + 0.44 * draw('score', concat(number, '/', scan_number))
                else 0.45 * power(draw('score', concat(number, '/', scan_number)), 6)
            end, 4
        ) as toxicity_score
    from scans
)

select
    scored.number,
    draw_id('audit', concat(scored.number, '/', scored.scan_number)) as audit_id,
    scored.customer_id,
    scored.agent_id,
    scored.agent_type_id,
    scored.event_id,
    -- Most scanners leave it to the reader.
    case when draw('model scanned', scored.number) < 0.2 then scored.model_used end as model_used,
    scored.toxicity_score,
    -- Some scanners give the score and leave the flag to the reader.
    case when draw('flag', scored.number) < 0.6 then scored.toxicity_score >= 0.5 end
        as is_toxic,
    case when scored.scan_number = 1 then entities_per_message.pii_redactions end as pii_redactions,
    scored.occurred_at,
    least(
        getvariable('now'),
        plus_ms(
            scored.received_at,
            1000 * (1 + 60 * draw('scan delay', concat(scored.number, '/', scored.scan_number)))
        )
    ) as received_at
from scored
left join entities_per_message
    on scored.number = entities_per_message.number;

create table audits_redelivered as
select * from audits
where draw('repeat scan', audit_id) < 0.01 or number < 10;

create table audits_bad as
with

spoiled as (
    select
        *,
        row_number() over (order by draw('spoil scan', audit_id), audit_id) as position
    from audits
    order by position
    limit 3
)

select
    * exclude (position) replace (
        draw_id('spoiled scan', audit_id) as audit_id,
        case when position = 1 then 1.7 else toxicity_score end as toxicity_score,
        case when position = 2 then map {'PERSON': -1} else pii_redactions end as pii_redactions,
        case when position = 3 then 0 else agent_id end as agent_id
    )
from spoiled;
