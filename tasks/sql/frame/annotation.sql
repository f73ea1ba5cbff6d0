-- annotation: what the gate sees of the labels that count.
-- grain:  one row per annotation
-- reads:  vote, model_vote
select
    annotation_id,
    item_id,
    annotator_id,
    'human' as annotator_kind,
    label,
    null::double as distribution_sum,
    slice

from vote

union all

select
    annotation_id,
    item_id,
    annotator_id,
    annotator_kind,
    label,
    list_sum([share.probability for share in distribution]),
    slice

from model_vote

where label is not null
