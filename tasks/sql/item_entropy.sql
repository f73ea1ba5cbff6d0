-- item_entropy: what its labels say of each item, and how far they differ.
-- grain:  one row per item
-- reads:  item_pattern, pattern_entropy
select
    item_pattern.item_id,
    item_pattern.labels as annotators,
    case when not is_tie then top_labels[1] end as label,
    top_labels,
    is_tie,
    entropy_nats,
    entropy_jeffreys_nats

from item_pattern

join pattern_entropy using (pattern)

order by item_pattern.item_id
