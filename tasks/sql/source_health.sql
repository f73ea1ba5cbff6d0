-- source_health: records read and quarantined in some files; what was erased before says nothing of its source.
-- grain:  one row per logical date
-- reads:  file; as_of
select
    available_on,
    sum(read)::bigint as read,
    sum(quarantined - coalesce(erased, 0))::bigint as quarantined

from file

where
    noun = $noun
    and available_on <= getvariable('as_of')
    and list_contains($file_ids, file_id)

group by available_on

order by available_on
