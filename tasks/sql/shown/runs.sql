-- runs: when runs started, how they ended.
-- grain:  one row per run
-- reads:  run
select
    run_id,
    any_value(as_of) as as_of,
    any_value(labels) as labels,
    coalesce(max(status), 'unfinished') as status,
    max(release) as release,
    min(recorded_at) filter (where event = 'started') as started_at,
    max(recorded_at) filter (where event = 'ended') as ended_at,
    max(summary) as summary

from run

group by run_id
