-- earlier_code: probabilities of an earlier consensus, as numbers.
-- grain:  one row per item and label of both
-- reads:  earlier, item_code, label_code
with

entry as (

    select
        item_id,
        unnest(map_entries(posterior), recursive := true)

    from earlier

)

select
    item_code.code as item,
    label_code.code as label,
    entry.value as probability

from entry

join item_code using (item_id)

join label_code on label_code.label = entry.key

where entry.value > 0
