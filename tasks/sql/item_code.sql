-- item_code: items, numbered from 0 in the order of their names.
-- grain:  one row per item
-- reads:  vote
select
    item_id,
    (row_number() over (order by item_id) - 1)::int as code

from (select distinct item_id from vote)

order by code
