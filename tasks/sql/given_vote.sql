-- given_vote: rows of a file that say something, each a vote.
-- grain:  one row per row of the file that has item, annotator and label
-- reads:  row
--
-- Text from '!' on begins with no space: to trim it would only cost time.
select *

from row

where
    (item_id >= '!' or trim(item_id, e' \t\r\n') <> '')
    and (annotator_id >= '!' or trim(annotator_id, e' \t\r\n') <> '')
    and (label >= '!' or trim(label, e' \t\r\n') <> '')
