-- annotation_count: labels that count, and people's labels whose document has not arrived.
-- grain:  one row
-- reads:  vote, model_vote, annotation, document; as_of, labels_until
select
    people + models as total,
    people,
    models,
    waiting

from (

    select
        (select count(*) from vote) as people,
        (select count(*) from model_vote) as models,
        (
            select count(*)

            from annotation

            anti join (

                select document_id

                from document

                where available_on <= getvariable('as_of')

            ) as arrived using (document_id)

            where
                annotator_kind = 'human'
                and available_on <= getvariable('labels_until')
        ) as waiting

)
