-- vote_code: each vote as one number.
-- grain:  one row per vote
-- reads:  vote, item_code, annotator_code, label_code
--
-- The item is in the upper 32 bits, the annotator and the label below, so
-- that sorting the numbers sorts the votes; NumPy sorts them faster.
select
    (item_code.code::bigint << 32)
    + annotator_code.code::bigint * labels.n
    + label_code.code as code

from vote

join item_code using (item_id)

join annotator_code using (annotator_id)

join label_code using (label)

cross join (select count(*) as n from label_code) as labels
