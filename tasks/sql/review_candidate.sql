-- review_candidate: unsettled items, the one a person's label helps most first.
-- grain:  one row per item
-- reads:  consensus
-- Disputes first, then items that lack a label to be settled, then those the models are least sure of.
select item_id

from consensus

where status = 'unresolved'

order by
    case reason when 'tie' then 0 when 'low_posterior' then 0 when 'too_few_labels' then 1 else 2 end,
    suggestion_entropy_nats desc nulls first,
    item_id
