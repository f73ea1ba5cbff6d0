-- repeated_pair: who labelled one item more than once, by digest.
-- grain:  one row per item and annotator, or more of them of one digest
-- reads:  given_vote
select hash(item_id, annotator_id) as pair

from given_vote

group by pair

having count(*) > 1
