-- item_pattern: every item's vector of label counts, as one number.
-- grain:  one row per item
-- reads:  vote, label_mark
--
-- The sum of the labels' marks is the same for the same counts in any order,
-- so items are counted once, whatever the number of labels, and only the few
-- distinct patterns are looked at again.
with

complete as (

    select *

    from vote

    -- slice and group_id are optional: absent columns are null
    union all by name

    select
        null::varchar as slice,
        null::varchar as group_id

    where false

)

select
    item_id,
    min(slice) as slice,
    min(group_id) as group_id,
    count(*)::int as labels,
    sum(mark)::hugeint as pattern

from complete

join label_mark using (label)

group by item_id
