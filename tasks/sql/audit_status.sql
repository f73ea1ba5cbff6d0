-- audit_status: which labels are accepted, which are for a person, and which have a person's label by the audit.
-- grain:  one row per item, in the order of their ids
-- reads:  audit_row, audit_threshold
select
    audit_row.item_id,
    nullif(audit_row.label, '') as label,
    audit_row.score as confidence,
    audit_row.slice,
    case
        when audit_row.audited_label <> '' then 'audited'
        when audit_row.label <> '' and audit_row.score >= audit_threshold.threshold then 'accepted'
        else 'person'
    end as status,
    nullif(audit_row.audited_label, '') as audited_label

from audit_row

left join audit_threshold
    on audit_row.slice is not distinct from audit_threshold.slice

order by audit_row.item_id
