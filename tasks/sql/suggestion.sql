-- suggestion: the label the models lean to, and how unsure they are.
-- grain:  one row per item that a model has labelled
-- reads:  model_vote
-- The mean distribution of the models, its entropy in nats, and what of that lies between the models: it less the mean of
-- their own entropies, which is their Jensen-Shannon divergence (Lin 1991). A model's label without a distribution counts as certain;
-- a labelling function is never unsure, so it has no say here.
with

share as (

    select
        item_id,
        annotator_id,
        unnest(coalesce(distribution, [{'label': label, 'probability': 1.0::double}]), recursive := true)

    from model_vote

    where
        label is not null
        and annotator_kind = 'llm'

),

model as (

    select
        item_id,
        count(distinct annotator_id) as models,
        sum(
            case when probability > 0 then -probability * ln(probability) else 0 end
            order by annotator_id, label
        ) / count(distinct annotator_id) as own_entropy_nats

    from share

    group by item_id

),

mean as (

    select
        share.item_id,
        share.label,
        round(sum(share.probability order by share.annotator_id) / any_value(model.models), 12) as probability,
        any_value(model.models) as models,
        any_value(model.own_entropy_nats) as own_entropy_nats

    from share

    join model using (item_id)

    group by
        share.item_id,
        share.label

)

select
    item_id,
    any_value(models) as models,
    arg_max(label, (probability, label)) as label,
    round(sum(
        case when probability > 0 then -probability * ln(probability) else 0 end
        order by label
    ), 12) as entropy_nats,
    round(greatest(sum(
        case when probability > 0 then -probability * ln(probability) else 0 end
        order by label
    ) - any_value(own_entropy_nats), 0), 12) as disagreement_nats

from mean

group by item_id
