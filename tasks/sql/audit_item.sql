-- audit_item: each item with its score, its slice and how its audit went.
-- grain:  one row per item, in the order of their ids
-- reads:  audit_row
select
    -- what has no label cannot be accepted
    if(label = '', 'nan', score)::double as score,
    (dense_rank() over (order by slice) - 1)::int as slice,
    is_drawn,
    is_drawn and audited_label <> '' as is_answered,
    is_drawn and label <> audited_label as is_wrong,
    not is_drawn and audited_label <> '' as is_undrawn

from audit_row

order by item_id
