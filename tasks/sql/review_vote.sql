-- review_vote: people's votes, and what models say of items.
-- grain:  one row per document and person, and per item and model
-- reads:  vote, model_vote
-- A labelling function is never unsure, so it has no say here. A person may be called what a model is called.
select
    item_id,
    'person ' || annotator_id as annotator_id,
    'human' as annotator_kind,
    label,
    null::map(varchar, double) as distribution

from vote

union all

select
    item_id,
    'model ' || annotator_id as annotator_id,
    annotator_kind,
    label,
    map_from_entries(distribution) as distribution

from model_vote

where
    label is not null
    and annotator_kind = 'llm'
