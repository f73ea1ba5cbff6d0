-- item_pattern: every item's vector of label counts, as one number.
-- grain:  one row per item
-- reads:  vote, label_mark
--
-- The sum of the labels' marks is the same for the same counts in any order,
-- so items are counted once, whatever the number of labels, and only the few
-- distinct patterns are looked at again. may_repeat is false where no
-- annotator can have labelled the item twice: each fell into a place of 64 of
-- their own.
select
    item_id,
    count(*)::int as labels,
    sum(mark)::hugeint as pattern,
    bit_count(bit_or(1::ubigint << (hash(annotator_id) % 64))) < count(*) as may_repeat

from vote

join label_mark using (label)

group by item_id
