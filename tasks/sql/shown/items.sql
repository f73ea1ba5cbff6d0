-- items: one distinct cleaned text and its context, with its split.
-- grain:  one row per item
-- reads:  item, split
select
    item.*,
    split.split,
    split.rule as split_rule

from item

left join split using (item_id)
