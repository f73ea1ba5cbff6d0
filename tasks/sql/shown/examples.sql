-- examples: what the current release holds.
-- grain:  one row per example
-- reads:  example_published
select *

from example_published
