-- split_label: how many examples have each label.
-- grain:  one row per split and label
-- reads:  published
select
    file as split,
    label,
    count(*)::bigint as examples

from published

group by
    file,
    label

order by
    file,
    label
