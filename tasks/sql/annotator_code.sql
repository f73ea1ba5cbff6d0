-- annotator_code: annotators, numbered from 0 in the order of their names.
-- grain:  one row per annotator
-- reads:  vote
select
    annotator_id,
    (row_number() over (order by annotator_id) - 1)::int as code

from (select distinct annotator_id from vote)

order by code
