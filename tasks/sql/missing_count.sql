-- missing_count: rows of a file that are no vote.
-- grain:  one row
-- reads:  row
select
    count(*)::bigint as rows,
    (
        count(*) filter (coalesce(trim(label), '') = '')
    )::bigint as missing,
    (
        count(*) filter (
            coalesce(trim(label), '') <> ''
            and (
                coalesce(trim(item_id), '') = ''
                or coalesce(trim(annotator_id), '') = ''
            )
        )
    )::bigint as incomplete

from row
