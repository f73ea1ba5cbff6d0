-- source_fault: why records of some files were set aside on a date.
-- grain:  one row per reason and what was expected
-- reads:  quarantine
select
    reason,
    detail,
    count(*) as records

from quarantine

where
    noun = $noun
    and available_on = $day
    and list_contains($paths, path)

group by
    reason,
    detail

order by
    records desc,
    reason,
    detail

limit 5
