-- dropped_count: how many examples break a promise that drops them.
-- grain:  one row per reason, the first promise by name
-- reads:  failing
-- An item that breaks two promises is one item.
select
    reason,
    count(*) as items

from (

    select
        item_id,
        min(promise) as reason

    from failing

    where policy = 'drop'

    group by item_id

)

group by reason

order by reason
