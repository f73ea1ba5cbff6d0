-- change_count: how many items changed how.
-- grain:  one row per kind of change, split, label and status, before and after
-- reads:  change
select
    change,
    split_before,
    split_after,
    label_before,
    label_after,
    status_before,
    status_after,
    is_text_changed,
    is_judged_anew,
    is_from_elsewhere,
    count(*)::bigint as items

from change

group by all

order by all
