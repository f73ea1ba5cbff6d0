-- scorecard_annotator: what each annotator is, how much they said, how fast.
-- grain:  one row per annotator
-- reads:  vote
--
-- Where no label says how long it took, a submission's time is the gap to
-- the annotator's one before, shared among the labels submitted at once; a
-- gap of half an hour or more is a break, and counts for nothing.
with

complete as (

    select *

    from vote

    -- optional columns: absent ones are null
    union all by name

    select
        null::varchar as annotator_kind,
        null::double as labelled_at,
        null::double as seconds

    where false

),

said as (

    select
        annotator_id,
        coalesce(min(annotator_kind), 'human') as annotator_kind,
        count(*)::bigint as annotations,
        count(distinct item_id)::bigint as items,
        median(seconds) as median_seconds

    from complete

    group by annotator_id

),

submission as (

    select
        annotator_id,
        labelled_at,
        count(*)::bigint as labels

    from complete

    where labelled_at is not null

    group by annotator_id, labelled_at

),

gap as (

    select
        annotator_id,
        labels,
        labelled_at - lag(labelled_at) over (
            partition by annotator_id order by labelled_at
        ) as seconds

    from submission

),

pace as (

    select
        annotator_id,
        median(seconds / labels) as median_seconds

    from gap

    where seconds < 1800

    group by annotator_id

)

select
    said.annotator_id,
    said.annotator_kind,
    said.annotations,
    said.items,
    coalesce(said.median_seconds, pace.median_seconds) as median_seconds

from said

left join pace using (annotator_id)

order by said.annotator_id
