-- counted_vote: the votes that a table of counts stands for.
-- grain:  one row per vote
-- reads:  given_vote
--
-- Nobody is known to have cast them: each has an annotator of its own on its
-- item, so that none counts as a repeat.
with

counted as (

    select
        label,
        max(given_vote) as given,
        sum(votes)::bigint as votes

    from given_vote

    group by item_id, label

),

vote as (

    select
        label || ' ' || number as counted_id,
        unnest(given)

    from counted, unnest(range(counted.votes)) as numbered (number)

)

select
    * exclude (votes, annotator_id, counted_id),
    counted_id as annotator_id

from vote
