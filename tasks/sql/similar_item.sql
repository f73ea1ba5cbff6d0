-- similar_item: items that are near-duplicates of some others, and not among them.
-- grain:  one row per item
-- reads:  neighbour
select item_id

from neighbour

where
    list_contains($items::varchar[], near_item_id)
    and not list_contains($items::varchar[], item_id)

union

select near_item_id

from neighbour

where
    list_contains($items::varchar[], item_id)
    and not list_contains($items::varchar[], near_item_id)

order by item_id
