-- fact_used: every fact a release as of the date rests on, as one line of JSON each.
-- grain:  one row per fact
-- reads:  document, quarantine, file, known_item, neighbour, vote, annotation, model_vote, reply, epoch_now, candidate_now, draw_now; as_of, labels_until
-- A figure that a release shows must change when, and only when, a line here does.
-- A model's annotation is named with what it says: the same item asked again elsewhere may have been answered otherwise.
select to_json(['document', document_id, item_id, group_id])::varchar as fact

from document

where available_on <= getvariable('as_of')

union all

select to_json(['quarantine', quarantine_id])::varchar

from quarantine

where available_on <= case noun when 'document' then getvariable('as_of') else getvariable('labels_until') end

union all

select to_json(['damage', path, arg_max_null(damage, (recorded_at, file_id))])::varchar

from file

where
    noun = 'document'
    and available_on <= getvariable('as_of')

group by path

having arg_max_null(damage, (recorded_at, file_id)) is not null

union all

select to_json(['split', item_id, split, group_id, slice])::varchar

from known_item

union all

select to_json(['neighbour', neighbour.item_id, neighbour.near_item_id])::varchar

from neighbour

semi join known_item as later on later.item_id = neighbour.item_id

semi join known_item as earlier on earlier.item_id = neighbour.near_item_id

union all

select to_json(['vote', annotation_id])::varchar

from vote

union all

-- people's labels whose document has not arrived are counted, and no more
select to_json(['waiting', annotation_id])::varchar

from annotation

anti join (

    select document_id

    from document

    where available_on <= getvariable('as_of')

) as arrived using (document_id)

where
    annotator_kind = 'human'
    and available_on <= getvariable('labels_until')

union all

select to_json([
    'model',
    model_vote.annotation_id,
    model_vote.label,
    model_vote.distribution::varchar,
    annotation.reason
])::varchar

from model_vote

join annotation using (annotation_id)

union all

select to_json(['epoch', epoch_id, ordinal::varchar, thresholds, previous, reason, available_on::varchar])::varchar

from epoch_now

union all

select to_json(['candidate', candidate_id, label, score::varchar, available_on::varchar])::varchar

from candidate_now

union all

select to_json(['draw', draw_id, place::varchar, policy, inclusion_probability::varchar, answer])::varchar

from draw_now

union all

select to_json([
    'reply',
    asked.annotation_id,
    reply.prompt_tokens::varchar,
    reply.cached_tokens::varchar,
    reply.completion_tokens::varchar,
    reply.usd::varchar
])::varchar

from (

    select
        annotation_id,
        unnest(coalesce(annotation.reply_ids, [annotation.reply_id])) as reply_id

    from annotation

    semi join model_vote using (annotation_id)

) as asked

join reply using (reply_id)

order by fact
