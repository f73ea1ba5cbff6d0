-- item_entropy: what its labels say of each item, and how far they differ.
-- grain:  one row per item
-- reads:  item_pattern, pattern_label, pattern_entropy
--
-- Entropies as in shape_entropy.
with

most as (

    select
        pattern,
        max(votes) as votes

    from pattern_label

    group by pattern

),

top as (

    select
        pattern,
        list_sort(list(distinct label)) as top_labels

    from pattern_label

    join most using (pattern, votes)

    group by pattern

)

select
    item_pattern.item_id,
    item_pattern.labels as annotations,
    case when len(top_labels) = 1 then top_labels[1] end as label,
    top_labels,
    len(top_labels) > 1 as is_tie,
    pattern_entropy.* exclude (pattern)

from item_pattern

join top using (pattern)

join pattern_entropy using (pattern)

order by item_pattern.item_id
