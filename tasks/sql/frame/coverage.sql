-- coverage: how much of what is known is settled or in the queue.
-- grain:  one row
-- reads:  known_item, main.consensus
select
    (
        select count(*)

        from known_item

        anti join main.consensus using (item_id)
    ) as uncounted_items,
    (
        select coalesce(avg((status = 'unresolved')::int), 0)

        from main.consensus
    ) as unresolved_share
