-- leakage: what stands in two splits, and how labels are spread.
-- grain:  one row
-- reads:  published, neighbour, document; as_of, by_group
with

share as (

    select
        file,
        label,
        count(*) / sum(count(*)) over (partition by file) as in_split,
        sum(count(*)) over (partition by label) / sum(count(*)) over () as in_all

    from published

    group by
        file,
        label

)

select
    (
        select count(*)

        from (

            select document.group_id

            from published

            join document using (item_id)

            where
                getvariable('by_group')
                and document.group_id is not null
                and document.available_on <= getvariable('as_of')

            group by document.group_id

            having count(distinct published.file) > 1

        )
    ) as groups_in_two_splits,
    (
        select count(*)

        from neighbour

        join published as one on one.item_id = neighbour.item_id

        join published as other on other.item_id = neighbour.near_item_id

        where one.file <> other.file
    ) as near_duplicates_in_two_splits,
    (
        select count(*)

        from (

            select hash(text)

            from published

            group by hash(text)

            having count(distinct file) > 1

        )
    ) as texts_in_two_splits,
    (
        select 3 - count(distinct file)

        from published
    ) as empty_splits,
    (
        select max(in_all)

        from share
    ) as largest_label_share,
    (
        select max(abs(in_split - in_all))

        from share
    ) as largest_label_drift
