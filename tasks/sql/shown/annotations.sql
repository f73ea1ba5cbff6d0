-- annotations: what people and models said.
-- grain:  one row per item (or document), annotator and revision
-- reads:  annotation, document
select
    coalesce(annotation.item_id, document.item_id) as item_id,
    annotation.annotator_id,
    annotation.annotator_kind,
    annotation.annotator_version,
    annotation.label,
    case
        when annotation.distribution is not null
            then map_from_entries([(share.label, share.probability) for share in annotation.distribution])
    end as distribution,
    annotation.distribution_source,
    annotation.entropy_nats,
    annotation.off_label_share,
    annotation.profile,
    annotation.reason,
    annotation.event_at,
    annotation.recorded_at,
    annotation.available_on,
    row_number() over (
        partition by annotation.item_id, annotation.document_id, annotation.annotator_id, annotation.annotator_version
        order by coalesce(annotation.event_at, annotation.available_on), annotation.recorded_at, annotation.annotation_id
    ) as revision,
    annotation.guideline_version,
    annotation.annotation_id,
    annotation.document_id,
    annotation.reply_id,
    annotation.reply_ids,
    annotation.path,
    annotation.position,
    annotation.run_id

from annotation

left join document using (document_id)
