-- consensus: how each item was settled by the last run that computed it.
-- grain:  one row per item
-- reads:  consensus_draft
select *

from consensus_draft
