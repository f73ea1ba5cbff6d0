-- unsure_item: items that a model has labelled and is unsure of.
-- grain:  one row per item
-- reads:  model_vote
-- A model that gave no label, or no distribution, is unsure: nothing says that it is not.
select item_id

from model_vote

where
    annotator_id = $annotator
    and coalesce(entropy_nats, 'infinity'::double) >= $least
