-- given_vote: votes as a file gives them, without those that say nothing.
-- grain:  one row per row of the file that has item, annotator and label
-- reads:  row
select
    item_id,
    annotator_id,
    label,
    slice

from row

where
    trim(item_id) <> ''
    and trim(annotator_id) <> ''
    and trim(label) <> ''
