-- run_answer: what became of the items that a run asked models about.
-- grain:  one row
-- reads:  annotation, unanswered
with

answered as (

    select
        count(*) as items,
        count(label) as labelled,
        count(*) filter (label is null and list_contains($set_aside::varchar[], reason)) as set_aside

    from annotation

    where
        run_id = $run
        and annotator_kind = 'llm'

),

failed as (

    select count(distinct (item_id, annotator_id)) as items

    from unanswered

    where run_id = $run

)

select
    answered.items + failed.items as asked,
    answered.labelled,
    answered.items - answered.labelled - answered.set_aside as abstained,
    answered.set_aside + failed.items as quarantined,
    failed.items as failed

from answered, failed
