-- gold_code: the known label of each item as a number, or -1.
-- grain:  one row per item, in the order of their numbers
-- reads:  item_code, gold_label, label_code
select coalesce(label_code.code, -1)::int as code

from item_code

left join gold_label using (item_id)

left join label_code using (label)

order by item_code.code
