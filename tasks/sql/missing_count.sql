-- missing_count: rows of a file that are no vote.
-- grain:  one row
-- reads:  row
with

blank as (

    -- text from '!' on begins with no space: to trim it would only cost time
    select
        if(
            label >= '!',
            false,
            coalesce(trim(label, e' \t\r\n'), '') = ''
        ) as is_missing,
        if(
            item_id >= '!',
            false,
            coalesce(trim(item_id, e' \t\r\n'), '') = ''
        )
        or if(
            annotator_id >= '!',
            false,
            coalesce(trim(annotator_id, e' \t\r\n'), '') = ''
        ) as is_incomplete

    from row

)

select
    count(*)::bigint as rows,
    (count(*) filter (is_missing))::bigint as missing,
    (count(*) filter (is_incomplete and not is_missing))::bigint as incomplete

from blank
