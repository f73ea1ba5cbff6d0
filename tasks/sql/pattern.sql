-- pattern: distinct patterns of label counts, merged over partitions.
-- grain:  one row per slice, unit and pattern
-- reads:  pattern_count
select
    slice,
    unit,
    is_grouped,
    (dense_rank() over (order by pattern) - 1)::int as number,
    labels,
    sum(items)::bigint as items

from pattern_count

group by slice, unit, is_grouped, pattern, labels

order by slice nulls first, unit, number
