-- audit_answered: audits that one import brought an answer to, given without sight of the model's label.
-- grain:  one row
-- reads:  annotation, handout
select count(distinct handout_id) as audits

from annotation

join handout using (handout_id)

where
    annotation.run_id = $run
    and handout.epoch_id is not null
    and not handout.is_suggestion_shown
