-- failing: what breaks a promise of the gate, as the last run that judged found it; where the policy is drop, it was kept out.
-- grain:  one row per item and promise
-- reads:  failing_draft, kept_out_draft
select *

from failing_draft

union all

select *

from kept_out_draft
