-- consensus: how each item was settled, before the queue is drawn.
-- grain:  one row per item known by the date
-- reads:  known_item, item_entropy (of people's votes), posterior, suggestion
-- The order in which statuses are tried is design: people first; without a certificate no model settles anything.
with

counted as (

    select
        known_item.item_id,
        posterior.posterior,
        posterior.label,
        posterior.posterior_share,
        coalesce(item_entropy.annotators, 0)::bigint as people,
        coalesce(suggestion.models, 0)::bigint as models,
        coalesce(item_entropy.is_tie, false) as is_tie,
        item_entropy.entropy_nats,
        suggestion.label as suggestion,
        suggestion.entropy_nats as suggestion_entropy_nats

    from known_item

    left join item_entropy using (item_id)

    left join posterior using (item_id)

    left join suggestion using (item_id)

),

judged as (

    select
        *,
        case
            when people = 0 then 'no_labels'
            when people < $min_labels then 'too_few_labels'
            when is_tie then 'tie'
            when posterior_share < $min_posterior then 'low_posterior'
        end as reason

    from counted

)

select
    item_id,
    case when reason is null then 'human' else 'unresolved' end as status,
    case when reason is null then label end as label,
    posterior,
    posterior_share,
    people,
    models,
    is_tie,
    entropy_nats,
    suggestion,
    suggestion_entropy_nats,
    reason

from judged

order by item_id
