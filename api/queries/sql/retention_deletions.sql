with deletions as (
    select
        table_name,
        cutoff,
        rows_deleted,
        oldest_deleted,
        newest_deleted,
        deleted_at,
        count(*) over () as deletion_count,
    from marts.retention_ledger
    where
        customer_id = $customer_id
        and deleted_at >= $window_from
        and deleted_at < $window_to
)

select * from deletions
order by deleted_at desc, table_name, cutoff desc, oldest_deleted desc
limit 1000
