select
    snapshot_id,
    data_as_of,
    recounted_at,
from marts.snapshot_info
