-- model_vote: what the present version of each model or labelling function says of each item.
-- grain:  one row per item and annotator
-- reads:  annotation, known_item; versions, calibrated, cascades
-- Of a cascade's later models only what they say of items that those before them are unsure of, as of the date.
-- Of a calibrated annotator each label's probability is divided by its mean over all items here, and the rest follows.
with

present as (

    select
        annotation.annotation_id,
        annotation.item_id,
        annotation.annotator_id,
        annotation.annotator_kind,
        annotation.annotator_version,
        annotation.label,
        annotation.distribution,
        annotation.entropy_nats,
        annotation.reply_id,
        known_item.slice,
        annotation.distribution is not null
            and list_contains(getvariable('calibrated'), annotation.annotator_id) as is_calibrated

    from annotation

    join known_item using (item_id)

    where
        annotation.annotator_kind in ('llm', 'function')
        and list_contains(getvariable('versions'), annotation.annotator_id || ' ' || annotation.annotator_version)

),

-- Items × the mean: the number of items cancels.
liking as (

    select
        annotator_id,
        map(list(label order by label), list(mass order by label)) as mass

    from (

        select
            annotator_id,
            share.label,
            sum(share.probability order by item_id) as mass

        from present, unnest(present.distribution) as given(share)

        where is_calibrated

        group by
            annotator_id,
            share.label

    )

    group by annotator_id

),

weighed as (

    select
        present.*,
        list_transform(
            present.distribution,
            lambda share: coalesce(share.probability / nullif(liking.mass[share.label], 0), 0)
        ) as weights

    from present

    left join liking on is_calibrated and liking.annotator_id = present.annotator_id

),

calibrated as (

    select
        *,
        case when is_calibrated then list_transform(
            distribution,
            lambda share, place: {
                'label': share.label,
                'probability': round(weights[place] / list_sum(weights), 12)
            }
        ) end as shares

    from weighed

),

voted as (

    select
        annotation_id,
        item_id,
        annotator_id,
        annotator_kind,
        annotator_version,
        case
            when is_calibrated then list_extract(
                shares, list_position(
                    list_transform(shares, lambda share: share.probability),
                    list_max(list_transform(shares, lambda share: share.probability))
                )
            ).label
            else label
        end as label,
        case when is_calibrated then shares else distribution end as distribution,
        case
            when is_calibrated then round(greatest(list_sum(list_transform(
                shares,
                lambda share: case when share.probability > 0 then -share.probability * ln(share.probability) else 0 end
            )), 0), 12)
            else entropy_nats
        end as entropy_nats,
        reply_id,
        slice

    from calibrated

),

cascade as (

    select unnest(
        getvariable('cascades')::struct(annotator varchar, first varchar, least double)[],
        recursive := true
    )

),

sure as (

    select
        voted.annotator_id,
        voted.item_id

    from voted

    join cascade on cascade.annotator = voted.annotator_id

    left join voted as before
        on before.annotator_id = cascade.first
        and before.item_id = voted.item_id

    where
        before.item_id is null
        or coalesce(before.entropy_nats, 'infinity'::double) < cascade.least

)

select voted.*

from voted

anti join sure using (annotator_id, item_id)
