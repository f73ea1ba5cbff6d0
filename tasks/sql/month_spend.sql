-- month_spend: what a calendar month (UTC) has cost: known, at risk in lost calls, and at most in pending batches.
-- grain:  one row
-- reads:  reply, lost_call, batch
-- A pending batch counts whenever it was sent: it will be paid for, and no earlier than now.
with

pending as (

    select
        batch_key,
        max(usd_at_most) as usd_at_most

    from batch

    group by batch_key

    having count(*) filter (step in ('ended', 'abandoned')) = 0

)

select
    (
        select coalesce(sum(usd), 0.0)

        from reply

        where event_at >= $month and event_at < $next_month
    ) as usd,
    (
        select coalesce(sum(usd_at_most), 0.0)

        from lost_call

        where event_at >= $month and event_at < $next_month
    ) as usd_at_risk,
    (
        select coalesce(sum(usd_at_most), 0.0)

        from pending
    ) as usd_pending
