-- item_count: items, their groups, and how many have a near-duplicate.
-- grain:  one row
-- reads:  known_item, neighbour
select
    (select count(*) from known_item) as total,
    (select count(distinct group_id) from known_item) as groups,
    (
        select count(*)

        from known_item

        where item_id in (

            select unnest([neighbour.item_id, neighbour.near_item_id])

            from neighbour

            semi join known_item as later on later.item_id = neighbour.item_id

            semi join known_item as earlier on earlier.item_id = neighbour.near_item_id

        )
    ) as near_duplicates
