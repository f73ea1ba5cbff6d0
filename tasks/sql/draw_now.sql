-- draw_now: what the epochs in force have drawn for people to audit, and what they answered.
-- grain:  one row per epoch and item drawn
-- reads:  draw, candidate_now, blind_answer; labels_until
-- A draw without an answer counts as wrong until it has one.
select
    draw.*,
    candidate_now.label,
    candidate_now.slice,
    candidate_now.score,
    blind_answer.answer,
    blind_answer.answer is not null as is_answered,
    coalesce(blind_answer.answer <> candidate_now.label, true) as is_wrong

from draw

join candidate_now using (epoch_id, item_id)

left join blind_answer using (item_id)

where draw.available_on <= getvariable('labels_until')
