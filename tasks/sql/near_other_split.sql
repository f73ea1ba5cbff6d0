-- near_other_split: examples with a near-duplicate in another split.
-- grain:  one row per item
-- reads:  published, neighbour
with

apart as (

    select
        one.item_id,
        other.item_id as near_item_id

    from neighbour

    join published as one on one.item_id = neighbour.item_id

    join published as other on other.item_id = neighbour.near_item_id

    where one.file <> other.file

)

select item_id

from apart

union

select near_item_id

from apart
