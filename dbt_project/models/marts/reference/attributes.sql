select name from {{ source('raw', 'attributes') }}
