-- document_without_item: the first document of each item that is not there yet.
-- grain:  one row per item
-- reads:  document, item; as_of
select
    item_id,
    text,
    context,
    group_id,
    slice,
    available_on

from document

anti join item using (item_id)

where available_on <= getvariable('as_of')

qualify row_number() over (partition by item_id order by available_on, document_id) = 1

order by
    available_on,
    item_id
