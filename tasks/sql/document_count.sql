-- document_count: where the records went, counted from facts; a document read again from another file counts once.
-- grain:  one row
-- reads:  document, known_item, quarantine; as_of
select
    documents + quarantined as read,
    items as accepted,
    documents - items as duplicate,
    quarantined

from (

    select
        (select count(*) from document where available_on <= getvariable('as_of')) as documents,
        (select count(*) from known_item) as items,
        (
            select count(*)

            from quarantine

            where
                noun = 'document'
                and available_on <= getvariable('as_of')
        ) as quarantined

)
