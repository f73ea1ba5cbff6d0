-- known_item: items that a document available by the date has.
-- grain:  one row per item
-- reads:  item, split, document; as_of
select
    item.item_id,
    item.text,
    item.context,
    item.group_id,
    item.slice,
    split.split

from item

join split using (item_id)

semi join (

    select item_id

    from document

    where available_on <= getvariable('as_of')

) as known using (item_id)
