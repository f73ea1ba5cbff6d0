-- given_label_set: the labels there are, in use or not.
-- grain:  one row per label
-- reads:  $labels
select unnest($labels::varchar[]) as label
