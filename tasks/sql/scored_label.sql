-- scored_label: what models said of items that people settled: how sure they were, and whether they were right.
-- grain:  one row per item and model
-- reads:  model_vote, consensus, draw_now
-- The audit in force is left out: what it is to judge must not have learnt from it.
select
    model_vote.annotator_id,
    list_max(list_transform(model_vote.distribution, lambda share: share.probability)) as score,
    model_vote.label = consensus.label as is_right

from model_vote

join consensus using (item_id)

anti join draw_now using (item_id)

where
    model_vote.annotator_kind = 'llm'
    and model_vote.label is not null
    and len(model_vote.distribution) > 0
    and consensus.status = 'human'
    and consensus.label is not null

order by
    model_vote.annotator_id,
    model_vote.item_id
