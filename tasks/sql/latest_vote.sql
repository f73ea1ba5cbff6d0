-- latest_vote: each annotator's last word on each item.
-- grain:  one row per item and annotator
-- reads:  row
--
-- Times are compared as instants where all are, else as numbers where all
-- are, else as text; a missing time is the earliest. Of two labels of one
-- time the later in the alphabet counts, so the order of rows never matters.
with

complete as (

    select *

    from row

    where
        trim(item_id) <> ''
        and trim(annotator_id) <> ''
        and trim(label) <> ''

),

clock as (

    select
        count(time) = count(try_cast(time as timestamptz)) as has_instants,
        count(time) = count(try_cast(time as double)) as has_numbers

    from complete

),

timed as (

    select
        complete.*,
        case
            when has_numbers
            then try_cast(time as double)
            when has_instants
            then epoch(try_cast(time as timestamptz))
        end as instant

    from complete

    cross join clock

)

select
    item_id,
    annotator_id,
    max_by(
        label,
        {
            'instant': coalesce(instant, '-infinity'::double),
            'time': coalesce(time, ''),
            'label': label
        }
    ) as label,
    min(slice) as slice

from timed

group by item_id, annotator_id
