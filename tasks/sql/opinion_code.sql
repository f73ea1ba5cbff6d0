-- opinion_code: machines' opinions as numbers, ready for arrays.
-- grain:  one row per answer of a machine on an item
-- reads:  vote, item_code, label_code, opinion_annotator
--
-- Machines are numbered from 0 among themselves, in the order of their names;
-- shares are in the order of the labels, 0 where a label is not named. In no
-- order: NumPy sorts numbers faster.
with

complete as (

    select *

    from vote

    -- optional: an absent column is null
    union all by name

    select null::map(varchar, double) as distribution

    where false

),

machine as (

    select
        annotator_id,
        (row_number() over (order by code) - 1)::int as annotator

    from opinion_annotator

    where is_machine

),

known as (

    select list(label order by code) as labels

    from label_code

)

select
    item_code.code as item,
    machine.annotator,
    -- a bare label says as much as that of a person nobody knows
    list_transform(
        known.labels,
        lambda label: case
            when complete.distribution is not null then coalesce(complete.distribution[label], 0)
            when complete.label = label then 0.7
            else 0
        end::double
    ) as shares

from complete

join machine using (annotator_id)

join item_code using (item_id)

cross join known
