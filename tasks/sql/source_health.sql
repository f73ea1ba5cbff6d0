-- source_health: records read and quarantined in the present versions of some files.
-- grain:  one row per logical date
-- reads:  file; as_of
select
    available_on,
    sum(read)::bigint as read,
    sum(quarantined)::bigint as quarantined

from (

    select
        path,
        available_on,
        read,
        quarantined

    from file

    where
        noun = 'document'
        and available_on <= getvariable('as_of')
        and list_contains($paths, path)

    qualify row_number() over (partition by path order by recorded_at desc, file_id) = 1

)

group by available_on

order by available_on
