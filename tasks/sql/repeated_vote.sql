-- repeated_vote: labels of annotators who gave one item several.
-- grain:  one row per item, annotator and label
-- reads:  annotator_pattern
with

counted as (

    select
        item_id,
        annotator_id,
        label,
        pattern,
        votes as label_votes,
        (sum(votes) over (partition by item_id, annotator_id))::bigint as votes

    from annotator_pattern

    where item_id is not null

)

select *

from counted

where votes > 1
