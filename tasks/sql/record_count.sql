-- record_count: every record read as of the date, and where it went; the rest of those read were duplicates.
-- grain:  one row
-- reads:  file, known_item; as_of
-- `read = accepted + duplicate + quarantined` is held file by file when the file is written down.
select
    coalesce(sum(read), 0)::bigint as read,
    (select count(*) from known_item) as accepted,
    coalesce(sum(quarantined), 0)::bigint as quarantined

from file

where
    noun = 'document'
    and available_on <= getvariable('as_of')
