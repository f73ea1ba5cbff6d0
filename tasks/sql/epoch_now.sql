-- epoch_now: the epochs in force: the latest of the present terms, or each batch of them.
-- grain:  one row per epoch
-- reads:  epoch; terms, is_batch, labels_until
select *

from epoch

where
    terms = getvariable('terms')
    and available_on <= getvariable('labels_until')

qualify getvariable('is_batch') or generation = max(generation) over ()
