-- candidate_now: the items that certificates of the epochs in force would cover, of those known by the date.
-- grain:  one row per epoch and item
-- reads:  candidate, epoch_now, known_item; labels_until
select candidate.*

from candidate

semi join epoch_now using (epoch_id)

semi join known_item using (item_id)

where candidate.available_on <= getvariable('labels_until')
