-- documents: text as it arrived, with where it came from.
-- grain:  one row per document
-- reads:  document
select *

from document
