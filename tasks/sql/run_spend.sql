-- run_spend: what models were asked in each run, and what it cost; null where a price is not known.
-- grain:  one row per run that asked
-- reads:  reply, lost_call
with

asked as (

    select
        run_id,
        true as is_answered,
        prompt_tokens,
        coalesce(cached_tokens, 0) as cached_tokens,
        completion_tokens,
        usd,
        0.0 as usd_at_risk

    from reply

    union all

    select
        run_id,
        false,
        0,
        0,
        0,
        0.0,
        usd_at_most

    from lost_call

)

select
    run_id,
    count(*) filter (is_answered) as calls,
    count(*) filter (not is_answered) as lost_calls,
    sum(prompt_tokens)::bigint as prompt_tokens,
    sum(cached_tokens)::bigint as cached_tokens,
    sum(completion_tokens)::bigint as completion_tokens,
    case when count(usd) = count(*) then round(sum(usd), 9) end as usd,
    case when count(usd_at_risk) = count(*) then round(sum(usd_at_risk), 9) end as usd_at_risk

from asked

group by run_id
