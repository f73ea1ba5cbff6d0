-- annotator_name: annotators in the order of their names.
-- grain:  one row per annotator
-- reads:  vote
select distinct annotator_id

from vote

order by annotator_id
