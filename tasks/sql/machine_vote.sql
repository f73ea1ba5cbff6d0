-- machine_vote: the models' labels, as agreement reads them.
-- grain:  one row per item and model
-- reads:  model_vote
-- A labelling function is no second opinion of a model, and so has no say here.
select
    item_id,
    annotator_id,
    annotator_kind,
    label,
    slice,
    map_from_entries(distribution) as distribution

from model_vote

where
    label is not null
    and annotator_kind = 'llm'
