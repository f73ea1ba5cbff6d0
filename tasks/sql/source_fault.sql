-- source_fault: why records of some files were set aside on a date.
-- grain:  one row per reason
-- reads:  quarantine
select
    reason,
    count(*) as records

from quarantine

where
    noun = 'document'
    and available_on = $day
    and list_contains($paths, path)

group by reason

order by
    records desc,
    reason
