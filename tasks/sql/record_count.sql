-- record_count: every record read as of the date, and where it went; the rest of those read were duplicates.
-- grain:  one row
-- reads:  file, document, quarantine; as_of
-- A record is accepted when it brings an item, be it that the item is made by a later run.
-- `read = accepted + duplicate + quarantined` is held file by file when the file is written down.
select
    coalesce(sum(read), 0)::bigint as read,
    (

        select count(distinct item_id)

        from document

        where available_on <= getvariable('as_of')

    ) as accepted,
    (
        coalesce(sum(quarantined), 0)

        -- erased after they were read
        + (

            select count(*)

            from quarantine

            where
                noun = 'document'
                and starts_with(run_id, 'erasure_')
                and available_on <= getvariable('as_of')

        )
    )::bigint as quarantined

from file

where
    noun = 'document'
    and available_on <= getvariable('as_of')
