-- given_label_code: the labels there are, numbered from 0 as they were given.
-- grain:  one row per label
-- reads:  $labels
select
    unnest($labels::varchar[]) as label,
    (generate_subscripts($labels::varchar[], 1) - 1)::int as code
