-- model_vote: what the present version of each model annotator says of each item.
-- grain:  one row per item and annotator
-- reads:  annotation, known_item; versions
select
    annotation.annotation_id,
    annotation.item_id,
    annotation.annotator_id,
    annotation.annotator_version,
    annotation.label,
    annotation.distribution,
    annotation.entropy_nats,
    annotation.reply_id,
    known_item.slice

from annotation

join known_item using (item_id)

where
    annotation.annotator_kind = 'llm'
    and list_contains(getvariable('versions'), annotation.annotator_id || ' ' || annotation.annotator_version)
