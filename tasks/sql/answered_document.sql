-- answered_document: the document of each item that people's answers are stored for: its first.
-- grain:  one row per item known by the date
-- reads:  document; as_of
select
    item_id,
    arg_min(document_id, (available_on, document_id)) as document_id

from document

where available_on <= getvariable('as_of')

group by item_id
