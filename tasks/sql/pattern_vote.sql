-- pattern_vote: the label counts of every pattern, merged over partitions.
-- grain:  one row per pattern and label
-- reads:  pattern_label
with

merged as (

    -- partitions that met the same pattern say the same of it
    select distinct
        pattern,
        label,
        votes

    from pattern_label

)

select
    (dense_rank() over (order by pattern) - 1)::int as number,
    label,
    votes

from merged

order by number, label
