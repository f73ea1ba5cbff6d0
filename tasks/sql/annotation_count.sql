-- annotation_count: labels that count, those whose document has not arrived, and those set aside.
-- grain:  one row
-- reads:  vote, model_vote, annotation, document, quarantine; as_of, labels_until
select
    people + models as total,
    people,
    models,
    waiting,
    quarantined

from (

    select
        (select count(*) from vote) as people,
        (select count(*) from model_vote where label is not null) as models,
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
        ) as waiting,
        (
            select count(*)

            from quarantine

            where
                noun = 'annotation'
                and available_on <= getvariable('labels_until')
        ) as quarantined

)
