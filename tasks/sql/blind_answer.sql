-- blind_answer: what people say of an item that was handed out to them without the model's label.
-- grain:  one row per item that somebody answered
-- reads:  annotation, handout; labels_until
-- Each person's latest answer counts, but for one who was shown the label of that item before. Where two labels have most answers, or the last answer was withdrawn, it is null.
with

answer as (

    select
        handout.item_id,
        annotation.label

    from annotation

    join handout using (handout_id)

    where
        annotation.annotator_kind = 'human'
        and not handout.is_suggestion_shown
        and annotation.available_on <= getvariable('labels_until')
        and not exists (

            from annotation as earlier

            join handout as given on given.handout_id = earlier.handout_id

            where
                given.is_suggestion_shown
                and given.item_id = handout.item_id
                and earlier.annotator_id = annotation.annotator_id
                and earlier.recorded_at <= annotation.recorded_at

        )

    qualify row_number() over (
        partition by handout.item_id, annotation.annotator_id
        order by
            coalesce(annotation.event_at, annotation.available_on) desc,
            annotation.recorded_at desc,
            annotation.annotation_id desc
    ) = 1

),

counted as (

    select
        item_id,
        label,
        count(*) as answers

    from answer

    where list_contains(getvariable('label_values'), label)

    group by
        item_id,
        label

)

select
    item_id,
    case when count(*) = 1 then any_value(label) end as answer,
    any_value(answers) as answers

from (

    select *

    from counted

    qualify answers = max(answers) over (partition by item_id)

)

group by item_id
