-- balance: how labels are spread over the examples and their splits.
-- grain:  one row
-- reads:  published
-- A label that a split has none of counts there as 0.
with

counted as (

    select
        file,
        label,
        count(*) as examples

    from published

    group by
        file,
        label

),

share as (

    select
        sum(counted.examples) filter (counted.file = part.file) / any_value(part.examples) as in_split,
        sum(counted.examples) / (
            select sum(examples)

            from counted
        ) as in_all

    from counted

    cross join (

        select
            file,
            sum(examples) as examples

        from counted

        group by file

    ) as part

    group by
        part.file,
        counted.label

)

select
    max(in_all) as largest_label_share,
    max(abs(coalesce(in_split, 0) - in_all)) as largest_label_drift,
    (
        select 3 - count(distinct file)

        from counted
    ) as empty_splits

from share
