-- parent: what changed against the release before.
-- grain:  one row
-- reads:  published, parent_example
with

share as (

    select
        label,
        count(*) filter (is_parent) as before,
        count(*) filter (not is_parent) as now

    from (

        select
            label,
            true as is_parent

        from parent_example

        union all

        select
            label,
            false

        from published

    )

    group by label

)

select
    nullif(sum(before), 0)::bigint as parent_examples,
    coalesce(greatest(1 - sum(now) / nullif(sum(before), 0), 0), 0) as shrink_share,
    coalesce(
        max(abs(before / nullif((select sum(before) from share), 0) - now / nullif((select sum(now) from share), 0))), 0
    ) as largest_label_drift

from share
