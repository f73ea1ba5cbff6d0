-- counted_vote: the votes that a table of counts stands for.
-- grain:  one row per vote
-- reads:  given_vote
--
-- Nobody is known to have cast them, so all have one annotator, of whom
-- nothing is said.
with

counted as (

    select
        max(given_vote) as given,
        sum(votes)::bigint as votes

    from given_vote

    group by item_id, label

),

vote as (

    select unnest(given)

    from counted, unnest(range(counted.votes)) as numbered (number)

)

select * exclude (votes)

from vote
