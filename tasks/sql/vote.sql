-- vote: people's latest label of each document, for documents and labels known by the date.
-- grain:  one row per document and annotator
-- reads:  annotation, document, known_item; as_of, labels_until
-- A person's later label replaces an earlier one; a withdrawn label is no vote, nor is one that the curation no longer has.
-- One without a time is as old as the day it belongs to.
with

ranked as (

    select
        annotation_id,
        document_id,
        annotator_id,
        label,
        event_at,
        row_number() over (
            partition by document_id, annotator_id
            order by coalesce(event_at, available_on) desc, recorded_at desc, annotation_id desc
        ) as age

    from annotation

    where
        annotator_kind = 'human'
        and available_on <= getvariable('labels_until')

)

select
    ranked.annotation_id,
    document.item_id,
    document.document_id,
    ranked.annotator_id,
    ranked.label,
    epoch(ranked.event_at) as labelled_at,
    known_item.slice,
    known_item.group_id

from ranked

join document using (document_id)

join known_item on known_item.item_id = document.item_id

where
    ranked.age = 1
    and list_contains(getvariable('label_values'), ranked.label)
    and document.available_on <= getvariable('as_of')
