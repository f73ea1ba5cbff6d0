-- item: what the gate sees of items.
-- grain:  one row per item known by the date
-- reads:  known_item
select
    item_id,
    length(text) as chars,
    split

from known_item
