-- annotator_pattern: how often each annotator gives each label to items of each pattern.
-- grain:  one row per annotator, label and pattern; per item, too, where an annotator may have labelled it twice
-- reads:  vote, item_pattern
select
    vote.annotator_id,
    vote.label,
    item_pattern.pattern,
    case when item_pattern.may_repeat then item_pattern.item_id end as item_id,
    count(*)::bigint as votes

from vote

join item_pattern using (item_id)

where vote.annotator_id is not null

group by 1, 2, 3, 4
