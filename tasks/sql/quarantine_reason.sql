-- quarantine_reason: how many documents were set aside, by reason.
-- grain:  one row per reason
-- reads:  quarantine; as_of
select
    reason,
    count(*) as records

from quarantine

where
    noun = 'document'
    and available_on <= getvariable('as_of')

group by reason

order by reason
