-- queue: what people should look at next, as the last run that computed it drew it.
-- grain:  one row per item in the queue
-- reads:  queue_draft
select *

from queue_draft
