-- item: what the gate sees of items.
-- grain:  one row per item known by the date
-- reads:  known_item (with the length of its text in its place)
select
    item_id,
    split,
    slice,
    chars

from known_item
