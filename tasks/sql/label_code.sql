-- label_code: the labels in use, numbered from 0 in the order of their names.
-- grain:  one row per label
-- reads:  vote
select
    label,
    (row_number() over (order by label) - 1)::int as code

from (select distinct label from vote)

order by code
