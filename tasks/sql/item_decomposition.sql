-- item_decomposition: how much of what models leave open lies between them.
-- grain:  one row per item for which two machines or more gave a distribution
-- reads:  vote
--
-- entropy_nats, of the machines' mean distribution, is shared_nats, the mean
-- of their own entropies (0 to ln labels), plus disagreement_nats, their
-- Jensen-Shannon divergence (0 to ln models; Lin 1991). A distribution counts
-- by its shares of what it gives; several of one machine share its weight.
with

complete as (

    select *

    from vote

    -- optional: absent columns are null
    union all by name

    select
        null::varchar as annotator_kind,
        null::map(varchar, double) as distribution

    where false

),

answer as (

    select
        item_id,
        annotator_id,
        [
            one for one in map_entries(distribution)
            if one.value > 0 and isfinite(one.value)
        ] as entries

    from complete

    where annotator_kind <> 'human'

),

panel as (

    select
        item_id,
        list(annotator_id) as annotators,
        len(list_distinct(annotators))::int as models,
        list({'annotator_id': annotator_id, 'entries': entries}) as answers

    from answer

    where len(entries) > 0

    group by item_id

    having models > 1

),

given as (

    select
        item_id,
        annotators,
        models,
        unnest(answers, recursive := true)

    from panel

),

share as (

    select
        item_id,
        models,
        1 / models / len([one for one in annotators if one = annotator_id])
        as weight,
        list_sum([one.value for one in entries]) as whole,
        unnest(entries, recursive := true)

    from given

),

pooled as (

    -- in units of 2^-100: integers add to the same sum in any order
    select
        item_id,
        models,
        sum((weight * value / whole * 2 ** 100)::hugeint) / 2 ** 100 as share,
        sum(
            (
                weight * value / whole * (ln(whole) - ln(value)) * 2 ** 100
            )::hugeint
        ) as own_terms

    from share

    group by item_id, models, key

),

added as (

    select
        item_id,
        models,
        sum((share * ln(1 / share) * 2 ** 100)::hugeint) / 2 ** 100
        as entropy_nats,
        sum(own_terms) / 2 ** 100 as shared_nats

    from pooled

    -- a probability below those units is none
    where share > 0

    group by item_id, models

)

select
    item_id,
    models,
    entropy_nats,
    shared_nats,
    greatest(entropy_nats - shared_nats, 0) as disagreement_nats

from added

order by item_id
