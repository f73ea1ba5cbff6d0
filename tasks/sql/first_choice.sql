-- first_choice: how often each model prefers the answer that it is shown first.
-- grain:  one row per model
-- reads:  model_vote
-- The order is that of tasks/annotator/comparison.py: b first where the digest of the item's id begins with an odd digit.
select
    annotator_id,
    count(*) filter (
        label = case when contains('13579bdf', left(sha256('order ' || item_id), 1)) then 'b' else 'a' end
    ) as first,
    count(*) as preferred

from model_vote

where
    annotator_kind = 'llm'
    and label in ('a', 'b')

group by annotator_id

order by annotator_id
