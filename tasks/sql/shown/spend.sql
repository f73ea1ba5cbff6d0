-- spend: what models were asked and what it cost, by all one may want to add it up by.
-- grain:  one row per item, annotator, run, day, model and service tier
-- reads:  reply, lost_call
-- usd is null where a price is not known; usd_at_risk is what calls that brought no answer may have cost at most.
with

asked as (

    select
        item_id,
        annotator_id,
        run_id,
        event_at::date as day,
        model,
        service_tier,
        true as is_answered,
        prompt_tokens,
        coalesce(cached_tokens, 0) as cached_tokens,
        completion_tokens,
        usd,
        0.0 as usd_at_risk

    from reply

    union all

    select
        item_id,
        annotator_id,
        run_id,
        event_at::date,
        model,
        null,
        false,
        0,
        0,
        0,
        0.0,
        usd_at_most

    from lost_call

)

select
    item_id,
    annotator_id,
    run_id,
    day,
    model,
    service_tier,
    count(*) filter (is_answered) as calls,
    count(*) filter (not is_answered) as lost_calls,
    sum(prompt_tokens)::bigint as prompt_tokens,
    sum(cached_tokens)::bigint as cached_tokens,
    sum(completion_tokens)::bigint as completion_tokens,
    case when count(usd) = count(*) then sum(usd) end as usd,
    case when count(usd_at_risk) = count(*) then sum(usd_at_risk) end as usd_at_risk

from asked

group by item_id, annotator_id, run_id, day, model, service_tier
