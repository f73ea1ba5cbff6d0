-- source_count: what each file of the sources brought.
-- grain:  one row per path
-- reads:  document, quarantine; as_of
select
    path,
    count(*) filter (where not is_quarantined) as documents,
    count(*) filter (where is_quarantined) as quarantined

from (

    select
        path,
        false as is_quarantined

    from document

    where available_on <= getvariable('as_of')

    union all

    select
        path,
        true

    from quarantine

    where
        noun = 'document'
        and available_on <= getvariable('as_of')

)

group by path

order by path
