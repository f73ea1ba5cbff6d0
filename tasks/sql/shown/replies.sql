-- replies: models' replies, with tokens and cost.
-- grain:  one row per reply
-- reads:  reply
select *

from reply
