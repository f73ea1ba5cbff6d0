-- pattern_shape: the counts of every pattern, whichever labels they are of.
-- grain:  one row per pattern
-- reads:  pattern_label
with

merged as (

    -- partitions that met the same pattern say the same of it
    select distinct
        pattern,
        labels,
        label,
        votes

    from pattern_label

)

select
    pattern,
    labels,
    list_sort(list(votes)) as shape

from merged

group by pattern, labels
