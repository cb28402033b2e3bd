select
    load_bucket,
    min_instances,
    instances_range,
from marts.load_buckets
