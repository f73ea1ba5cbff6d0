-- item_without_split: items to divide, in the order they are divided, each with its nearest earlier near-duplicate.
-- grain:  one row per item
-- reads:  item, neighbour, split
select
    item.item_id,
    item.group_id,
    (
        select arg_max(near_item_id, (similarity, near_item_id))

        from neighbour

        where neighbour.item_id = item.item_id
    ) as near_item_id

from item

anti join split using (item_id)

order by
    item.available_on,
    item.item_id
