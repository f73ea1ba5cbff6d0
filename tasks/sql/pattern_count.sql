-- pattern_count: how many items have each pattern of label counts.
-- grain:  one row per slice, unit and pattern
-- reads:  item_pattern, item_part
--
-- The unit is what the bootstrap draws together: a group of items, or the
-- ungrouped items of one slice and pattern. It is a digest, so that it is the
-- same in every partition, and seeds the same draws.
with

member_count as (

    select
        slice,
        group_id,
        pattern,
        labels,
        count(*)::bigint as items

    from item_pattern

    left join item_part using (item_id)

    group by slice, group_id, pattern, labels

)

select
    slice,
    md5_number_lower(
        coalesce(
            'group ' || group_id,
            'pattern ' || pattern || ' ' || coalesce(slice, '')
        )
    )::ubigint as unit,
    group_id is not null as is_grouped,
    pattern,
    labels,
    items

from member_count
