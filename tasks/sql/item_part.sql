-- item_part: the slice and the group of items that have one.
-- grain:  one row per item
-- reads:  vote
with

complete as (

    select *

    from vote

    -- both are optional: absent columns are null
    union all by name

    select
        null::varchar as slice,
        null::varchar as group_id

    where false

)

select
    item_id,
    min(slice) as slice,
    min(group_id) as group_id

from complete

where
    slice is not null
    or group_id is not null

group by item_id
