-- pattern_label: how often each label occurs in each pattern.
-- grain:  one row per pattern and label
-- reads:  vote, item_pattern
with

specimen as (

    -- any item of a pattern has the counts of all of them
    select
        pattern,
        any_value(labels) as labels,
        any_value(item_id) as item_id

    from item_pattern

    group by pattern

)

select
    specimen.pattern,
    specimen.labels,
    vote.label,
    count(*)::int as votes

from vote

join specimen using (item_id)

group by specimen.pattern, specimen.labels, vote.label
