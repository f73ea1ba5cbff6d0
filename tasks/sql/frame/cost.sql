-- cost: what the labels took.
-- grain:  one row
-- reads:  taken
select usd

from taken
