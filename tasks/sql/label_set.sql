-- label_set: the labels in use.
-- grain:  one row per label
-- reads:  pattern_label
select distinct label

from pattern_label

order by label
