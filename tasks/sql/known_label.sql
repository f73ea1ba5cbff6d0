-- known_label: labels in use, by votes, distributions or gold.
-- grain:  one row per label
-- reads:  vote, gold_label
with

complete as (

    select *

    from vote

    -- optional: an absent column is null
    union all by name

    select null::map(varchar, double) as distribution

    where false

)

select label from vote

union

select label from gold_label

union

select unnest(map_keys(distribution)) from complete

order by label
