-- change: each item of two releases, before and after.
-- grain:  one row per item of either
-- reads:  older, newer
-- What changed is the first of these that did: whether it is there, its split, its label, anything else.
with

older_row as (

    select
        item_id,
        split,
        label,
        status,
        hash(text, context) as content,
        hash(posterior, posterior_share, entropy_nats, people, models) as judgement,
        hash(group_id, slice, document_ids) as origin

    from older

),

newer_row as (

    select
        item_id,
        split,
        label,
        status,
        hash(text, context) as content,
        hash(posterior, posterior_share, entropy_nats, people, models) as judgement,
        hash(group_id, slice, document_ids) as origin

    from newer

)

select
    coalesce(older_row.item_id, newer_row.item_id) as item_id,
    case
        when older_row.item_id is null then 'added'
        when newer_row.item_id is null then 'removed'
        when older_row.split <> newer_row.split then 'moved'
        when older_row.label <> newer_row.label then 'relabelled'
        when
            older_row.status <> newer_row.status
            or older_row.content <> newer_row.content
            or older_row.judgement <> newer_row.judgement
            or older_row.origin <> newer_row.origin
        then 'changed'
        else 'unchanged'
    end as change,
    older_row.split as split_before,
    newer_row.split as split_after,
    older_row.label as label_before,
    newer_row.label as label_after,
    older_row.status as status_before,
    newer_row.status as status_after,
    coalesce(older_row.content <> newer_row.content, false) as is_text_changed,
    coalesce(older_row.judgement <> newer_row.judgement, false) as is_judged_anew,
    coalesce(older_row.origin <> newer_row.origin, false) as is_from_elsewhere

from older_row

full join newer_row
    on newer_row.item_id = older_row.item_id
