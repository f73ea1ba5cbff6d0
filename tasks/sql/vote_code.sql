-- vote_code: votes as numbers, ready for arrays.
-- grain:  one row per vote
-- reads:  vote, label_code
--
-- Items and annotators are numbered from 0 in the order of their names;
-- sorted, so that no result depends on the order of the rows.
with

item as (

    select
        item_id,
        (row_number() over (order by item_id) - 1)::int as item

    from (select distinct item_id from vote)

),

annotator as (

    select
        annotator_id,
        (row_number() over (order by annotator_id) - 1)::int as annotator

    from (select distinct annotator_id from vote)

)

select
    item.item,
    annotator.annotator,
    label_code.code as label

from vote

join item using (item_id)

join annotator using (annotator_id)

join label_code using (label)

order by item.item, annotator.annotator, label_code.code
