-- candidate_fresh: items that the accepted model has labelled, and no person, and that no epoch in force covers yet.
-- grain:  one row per item
-- reads:  model_vote, vote, candidate_now; accepted
-- A label without a distribution is as sure as can be.
select
    model_vote.item_id,
    model_vote.label,
    coalesce(
        list_max(list_transform(model_vote.distribution, lambda share: share.probability)),
        1.0::double
    ) as score,
    model_vote.slice

from model_vote

anti join vote using (item_id)

anti join candidate_now using (item_id)

where
    model_vote.annotator_id = getvariable('accepted')
    and model_vote.label is not null

order by model_vote.item_id
