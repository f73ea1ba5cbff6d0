-- monitored_item: what a model said of each item, and the label people settled on where they were not asked because of it.
-- grain:  one row per item the model has labelled
-- reads:  model_vote, known_item, annotation, settled (consensus of the latest run), blind_answer, handout, draw; monitored
-- Settled is what people's votes settled, else what an audit answered. An item that was put into the queue because it was
-- uncertain, disputed or typical is no fair sample of what the model gets right: is_chosen. One drawn at random is.
with

chosen as (

    select distinct item_id

    from handout

    where policy not in ('audit', 'watch')

)

select
    model_vote.item_id,
    model_vote.label,
    list_max(list_transform(model_vote.distribution, lambda share: share.probability)) as score,
    model_vote.entropy_nats as entropy,
    annotation.profile,
    known_item.slice,
    known_item.group_id,
    coalesce(settled.label, blind_answer.answer) as settled,
    chosen.item_id is not null and drawn.item_id is null as is_chosen,
    case when coalesce(settled.label, blind_answer.answer) is not null then known_item.text end as text

from model_vote

join known_item using (item_id)

join annotation using (annotation_id)

left join settled using (item_id)

left join blind_answer using (item_id)

left join chosen using (item_id)

left join (select distinct item_id from draw) as drawn using (item_id)

where
    model_vote.annotator_id = getvariable('monitored')
    and model_vote.label is not null

order by model_vote.item_id
