-- scorecard_answer: votes with their times, as numbers.
-- grain:  one row per vote
-- reads:  vote, label_code
--
-- Items and annotators are numbered from 0 in the order of their names. Of
-- an annotator's votes on one item the latest stands last.
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

),

complete as (

    select *

    from vote

    -- labelled_at is optional: an absent column is null
    union all by name

    select null::double as labelled_at

    where false

)

select
    item.item,
    annotator.annotator,
    label_code.code as label,
    coalesce(complete.labelled_at, 'nan'::double) as labelled_at

from complete

join item using (item_id)

join annotator using (annotator_id)

join label_code using (label)

order by
    item.item,
    annotator.annotator,
    complete.labelled_at nulls first,
    label_code.code
