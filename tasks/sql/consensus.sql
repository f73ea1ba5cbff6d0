-- consensus: how each item was settled, before the queue is drawn.
-- grain:  one row per item known by the date
-- reads:  known_item, vote, item_entropy (of people's votes), posterior, suggestion, certified (item and label accepted)
-- A tie is one of votes, or of probabilities: then no label is the most probable.
-- The order in which statuses are tried is design: people first; without a certificate no model settles anything, and
-- with one no label that the people asked by now lean away from.
-- A person who labelled two documents of one item is one person, with two votes.
with

person as (

    select
        item_id,
        count(distinct annotator_id) as people

    from vote

    group by item_id

),

counted as (

    select
        known_item.item_id,
        posterior.posterior,
        posterior.label,
        posterior.posterior_share,
        posterior.posterior_entropy_nats,
        posterior.posterior_mean,
        posterior.posterior_median,
        posterior.posterior_sd,
        coalesce(person.people, 0)::bigint as people,
        coalesce(suggestion.models, 0)::bigint as models,
        coalesce(item_entropy.is_tie, false) as is_tie,
        item_entropy.entropy_nats,
        suggestion.label as suggestion,
        suggestion.entropy_nats as suggestion_entropy_nats,
        suggestion.disagreement_nats as suggestion_disagreement_nats,
        case when posterior.label = certified.label or person.people is null then certified.label end as accepted

    from known_item

    left join person using (item_id)

    left join item_entropy using (item_id)

    left join posterior using (item_id)

    left join suggestion using (item_id)

    left join certified using (item_id)

),

judged as (

    select
        *,
        case
            when people = 0 then 'no_labels'
            when people < $min_labels then 'too_few_labels'
            when is_tie or label is null then 'tie'
            when posterior_share < $min_posterior then 'low_posterior'
        end as reason

    from counted

)

select
    item_id,
    case when reason is null then 'human' when accepted is not null then 'accepted' else 'unresolved' end as status,
    case when reason is null then label else accepted end as label,
    posterior,
    posterior_share,
    posterior_entropy_nats,
    posterior_mean,
    posterior_median,
    posterior_sd,
    people,
    models,
    is_tie,
    entropy_nats,
    suggestion,
    suggestion_entropy_nats,
    suggestion_disagreement_nats,
    case when accepted is null then reason end as reason

from judged

order by item_id
