-- quarantine: what was set aside, with why: records that could not be read, and items that a model could not label.
-- grain:  one row per record, or per item and annotator
-- reads:  quarantine, annotation, unanswered
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
