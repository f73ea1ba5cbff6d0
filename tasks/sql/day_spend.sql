-- day_spend: what models cost on each day (UTC) that they were asked, the latest first; null where a price is not known.
-- grain:  one row per day
-- reads:  reply, lost_call
with

asked as (

    select
        event_at::date as day,
        true as is_answered,
        usd,
        0.0 as usd_at_risk

    from reply

    union all

    select
        event_at::date,
        false,
        0.0,
        usd_at_most

    from lost_call

)

select
    day::varchar as day,
    count(*) filter (is_answered) as calls,
    case when count(usd) = count(*) then round(sum(usd), 9) end as usd,
    case when count(usd_at_risk) = count(*) then round(sum(usd_at_risk), 9) end as usd_at_risk

from asked

group by day

order by day desc
