-- cross_pattern: distinct patterns of people's and machines' label counts, merged over partitions.
-- grain:  one row per slice, unit, people's and machines' pattern
-- reads:  cross_count, pattern_label
--
-- Patterns are numbered as pattern_vote numbers them.
with

numbered as (

    select
        pattern,
        (dense_rank() over (order by pattern) - 1)::int as number

    from (select distinct pattern from pattern_label)

)

select
    cross_count.slice,
    cross_count.unit,
    cross_count.is_grouped,
    people.number,
    cross_count.labels,
    machines.number as machine_number,
    cross_count.machine_labels,
    sum(cross_count.items)::bigint as items

from cross_count

join numbered as people using (pattern)

join numbered as machines on machines.pattern = cross_count.machine_pattern

group by all

order by slice nulls first, unit, people.number, machine_number
