-- slice_status: how the items of each slice were settled.
-- grain:  one row per slice
-- reads:  consensus, known_item
select
    known_item.slice,
    count(*) as items,
    count(*) filter (where consensus.status = 'human') as human,
    count(*) filter (where consensus.status = 'accepted') as accepted,
    count(*) filter (where consensus.status = 'review') as review,
    count(*) filter (where consensus.status = 'unresolved') as unresolved

from consensus

join known_item using (item_id)

where known_item.slice is not null

group by known_item.slice

order by known_item.slice
