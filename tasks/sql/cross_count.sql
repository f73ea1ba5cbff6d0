-- cross_count: how many items have each pattern of people's and of machines' label counts.
-- grain:  one row per slice, unit, people's and machines' pattern
-- reads:  item_pattern, machine_item_pattern, item_part
--
-- Units are digests, as in pattern_count.
with

member_count as (

    select
        item_part.slice,
        item_part.group_id,
        item_pattern.pattern,
        item_pattern.labels,
        machine_item_pattern.pattern as machine_pattern,
        machine_item_pattern.labels as machine_labels,
        count(*)::bigint as items

    from item_pattern

    join machine_item_pattern using (item_id)

    left join item_part using (item_id)

    group by all

)

select
    slice,
    md5_number_lower(
        coalesce(
            'group ' || group_id,
            'patterns ' || pattern || ' ' || machine_pattern || ' ' || coalesce(slice, '')
        )
    )::ubigint as unit,
    group_id is not null as is_grouped,
    pattern,
    labels,
    machine_pattern,
    machine_labels,
    items

from member_count
