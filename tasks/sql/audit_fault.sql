-- audit_fault: rows that no certificate can be made of.
-- grain:  one row
-- reads:  audit_row
select
    count(*)::bigint as rows,
    (count(*) filter (item_id = ''))::bigint as nameless,
    (count(*) - count(distinct item_id))::bigint as repeated,
    -- a model that gave no label need not say how sure it is
    (count(*) filter (
        label <> ''
        and not coalesce(score between 0 and 1, false)
    ))::bigint as scoreless,
    (count(*) filter (is_drawn is null))::bigint as unclear

from audit_row
