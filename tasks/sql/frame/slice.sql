-- slice: how far slices differ beyond chance.
-- grain:  one row
-- reads:  published, main.consensus, model_vote; label_values, slice_z
-- Each slice's share has its Wilson interval, wide enough (slice_z) that all of them hold at once. What lies between the
-- lower end of the highest and the upper end of the lowest is the least that two slices differ by.
with

labelled as (

    select
        slice,
        label,
        count(*) as examples

    from published

    where slice is not null

    group by
        slice,
        label

),

rate as (

    select
        labels.label as what,
        size.slice,
        coalesce(labelled.examples, 0) as hits,
        size.examples as trials,
        true as is_label

    from (select slice, sum(examples) as examples from labelled group by slice) as size

    cross join (select unnest(getvariable('label_values')) as label) as labels

    left join labelled using (slice, label)

    union all

    select
        model_vote.annotator_id,
        model_vote.slice,
        count(*) filter (model_vote.label <> settled.label),
        count(*),
        false

    from model_vote

    join main.consensus as settled
        on settled.item_id = model_vote.item_id
        and settled.status = 'human'

    where
        model_vote.annotator_kind = 'llm'
        and model_vote.label is not null
        and model_vote.slice is not null

    group by
        model_vote.annotator_id,
        model_vote.slice

),

bound as (

    select
        *,
        (hits + getvariable('slice_z') ^ 2 / 2) / (trials + getvariable('slice_z') ^ 2) as centre,
        getvariable('slice_z') * sqrt(hits * (trials - hits) / trials + getvariable('slice_z') ^ 2 / 4)
            / (trials + getvariable('slice_z') ^ 2) as reach

    from rate

),

gap as (

    select
        is_label,
        greatest(max(centre - reach) - min(centre + reach), 0) as gap

    from bound

    group by
        is_label,
        what

)

select
    coalesce(max(gap) filter (is_label), 0) as label_gap,
    coalesce(max(gap) filter (not is_label), 0) as disagreement_gap

from gap
