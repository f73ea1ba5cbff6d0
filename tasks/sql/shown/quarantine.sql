-- quarantine: records set aside, with where and why.
-- grain:  one row per record
-- reads:  quarantine
select *

from main.quarantine
