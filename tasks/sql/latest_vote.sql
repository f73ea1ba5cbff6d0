-- latest_vote: each annotator's last word on each item.
-- grain:  one row per item and annotator
-- reads:  given_vote, repeated_pair
--
-- A missing time is the earliest. Of two labels of one time the later in the
-- alphabet counts, so the order of rows never matters. Only the few that are
-- repeated are compared.
with

repeated as (

    select
        max({
            'moment': coalesce(moment, '-infinity'::double),
            'word': word,
            'label': label,
            'vote': given_vote
        }) as last

    from given_vote

    where hash(item_id, annotator_id) in (select pair from repeated_pair)

    group by item_id, annotator_id

),

latest as (

    select *

    from given_vote

    where hash(item_id, annotator_id) not in (select pair from repeated_pair)

    union all by name

    select unnest(last.vote)

    from repeated

)

select * exclude (moment, word)

from latest
