-- bridge: items that would carry one split's text into another, and so are kept out of every split.
-- grain:  one row per item
-- reads:  known_item, neighbour, document; as_of
-- Of two near-duplicates in different splits the later one is the bridge. Where documents of one group made items in
-- different splits, the group belongs to the split of the first item that is its own: a text that two groups share
-- is the bridge, not the group that had it second.
with

first_of_group as (

    select
        document.group_id,
        arg_min(
            known_item.split,
            (known_item.group_id is distinct from document.group_id, document.available_on, document.item_id)
        ) as split

    from document

    join known_item using (item_id)

    where
        $by_group
        and document.group_id is not null
        and document.available_on <= getvariable('as_of')

    group by document.group_id

)

select known_item.item_id

from known_item

join neighbour on neighbour.item_id = known_item.item_id

join known_item as near on near.item_id = neighbour.near_item_id

where near.split <> known_item.split

union

select known_item.item_id

from document

join known_item using (item_id)

join first_of_group on first_of_group.group_id = document.group_id

where
    document.available_on <= getvariable('as_of')
    and first_of_group.split <> known_item.split

order by item_id
