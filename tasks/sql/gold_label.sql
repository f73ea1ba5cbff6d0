-- gold_label: the labels that are known of items.
-- grain:  one row per item
-- reads:  gold_row
select
    item_id,
    min(label) as label,
    count(distinct label)::int as labels

from gold_row

where
    trim(item_id) <> ''
    and trim(label) <> ''

group by item_id
