-- item_name: items in the order of their names.
-- grain:  one row per item
-- reads:  vote
select distinct item_id

from vote

order by item_id
