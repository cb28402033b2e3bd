-- The attributes that usage is summed by.
select name
from marts.attributes
order by name
