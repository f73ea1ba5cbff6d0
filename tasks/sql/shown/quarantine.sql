-- quarantine: what was set aside, with why: records that could not be read, items that a model could not
-- label, and examples that the gate kept out.
-- grain:  one row per record, per item and annotator, or per example and promise
-- reads:  quarantine, annotation, unanswered, kept_out_draft
-- An item without an answer is here until a later run brings one.
select
    *,
    null::varchar as item_id,
    null::varchar as annotator_id

from main.quarantine

union all by name

select
    annotation_id as quarantine_id,
    'item' as noun,
    item_id,
    annotator_id,
    reason,
    recorded_at,
    available_on,
    run_id

from main.annotation

where
    annotator_kind = 'llm'
    and reason in ('content_filter', 'context_length', 'length')

union all by name

select
    arg_max(unanswered_id, recorded_at) as quarantine_id,
    'item' as noun,
    item_id,
    annotator_id,
    arg_max(reason, recorded_at) as reason,
    arg_max(detail, recorded_at) as detail,
    max(recorded_at) as recorded_at,
    max(recorded_at)::date as available_on,
    arg_max(run_id, recorded_at) as run_id

from main.unanswered

anti join main.annotation using (item_id, annotator_id, annotator_version)

group by
    item_id,
    annotator_id,
    annotator_version

union all by name

select
    promise || ':' || item_id as quarantine_id,
    'example' as noun,
    item_id,
    promise as reason,
    'kept out of the release by the gate' as detail

from kept_out_draft
