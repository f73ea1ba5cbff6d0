-- confusion: what was said where the reference says what it says.
-- grain:  one row per reference label and label given
-- reads:  reference, vote
select
    reference.label as reference_label,
    vote.label,
    count(*)::bigint as items

from reference

join vote using (item_id)

where
    reference.label is not null
    and vote.label is not null

group by reference.label, vote.label

order by reference.label, vote.label
