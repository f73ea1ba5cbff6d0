-- erased_item: items that documents to be erased make, whether another document makes them, too, and one of the item's group.
-- grain:  one row per item
-- reads:  document, item, erased_document (the ids of those to be erased)
-- An item that is named itself goes with all its documents, and there may be none of them any more.
with

touched as (

    select item_id

    from erased_document

    union

    select item_id

    from item

    where
        $noun = 'item'
        and item_id = $subject

),

other as (

    select
        document.item_id,
        document.group_id

    from document

    semi join touched using (item_id)

    anti join erased_document using (document_id)

)

select
    touched.item_id,
    count(other.item_id) > 0 as is_shared,
    coalesce(bool_or(other.group_id = item.group_id), false) as has_group

from touched

left join item using (item_id)

left join other using (item_id)

group by touched.item_id

order by touched.item_id
