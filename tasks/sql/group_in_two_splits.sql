-- group_in_two_splits: examples of groups that stand in two splits.
-- grain:  one row per item
-- reads:  published, document; as_of, by_group
with

apart as (

    select document.group_id

    from document

    join published using (item_id)

    where
        getvariable('by_group')
        and document.group_id is not null
        and document.available_on <= getvariable('as_of')

    group by document.group_id

    having min(published.file) <> max(published.file)

)

select distinct document.item_id

from document

semi join apart using (group_id)

where document.available_on <= getvariable('as_of')
