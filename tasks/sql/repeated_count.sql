-- repeated_count: labels beyond an annotator's first on one item.
-- grain:  one row per annotator
-- reads:  repeated_vote
with

repeated as (

    select
        item_id,
        annotator_id,
        any_value(votes) as votes

    from repeated_vote

    group by item_id, annotator_id

)

select
    annotator_id,
    sum(votes - 1)::bigint as repeats

from repeated

group by annotator_id
