-- open_audit: draws of the epochs in force that await an answer.
-- grain:  one row per item
-- reads:  draw_now
select
    item_id,
    epoch_id,
    inclusion_probability,
    seed,
    row_number() over (order by available_on, place, epoch_id) as turn

from draw_now

where not is_answered

-- drawn in two batches, an item is asked about once
qualify row_number() over (partition by item_id order by available_on, place, epoch_id) = 1
