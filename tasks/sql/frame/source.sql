-- source: whether every record read is accounted for.
-- grain:  one row
-- reads:  main.file, document, known_item; as_of
select
    (
        select coalesce(sum(abs(read - accepted - duplicate - quarantined)), 0)::bigint

        from main.file

        where available_on <= getvariable('as_of')
    ) + (
        -- and every document is of an item
        select count(*)

        from document

        anti join known_item using (item_id)

        where available_on <= getvariable('as_of')
    ) as unaccounted,
    (
        select count(*)

        from (

            select arg_max_null(damage, (recorded_at, file_id)) as damage

            from main.file

            where
                noun = 'document'
                and available_on <= getvariable('as_of')

            group by path

        )

        where damage is not null
    ) as damaged_files
