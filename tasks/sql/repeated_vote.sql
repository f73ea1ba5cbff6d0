-- repeated_vote: labels of annotators who gave one item several.
-- grain:  one row per item, annotator and label
-- reads:  vote
with

repeated as (

    select
        item_id,
        annotator_id,
        count(*)::bigint as votes

    from vote

    group by item_id, annotator_id

    having count(*) > 1

)

select
    vote.item_id,
    vote.annotator_id,
    vote.label,
    any_value(repeated.votes)::bigint as votes,
    count(*)::bigint as label_votes

from vote

join repeated using (item_id, annotator_id)

group by vote.item_id, vote.annotator_id, vote.label
