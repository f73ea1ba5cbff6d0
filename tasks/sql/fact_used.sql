-- fact_used: every fact a release as of the date rests on, as one line of text each.
-- grain:  one row per fact
-- reads:  document, quarantine, known_item, neighbour, vote, model_vote, reply; as_of, labels_until
-- A model's annotation is named with what it says: the same item asked again elsewhere may have been answered otherwise.
select 'document ' || document_id || ' ' || item_id as fact

from document

where available_on <= getvariable('as_of')

union all

select 'quarantine ' || quarantine_id

from quarantine

where available_on <= case noun when 'document' then getvariable('as_of') else getvariable('labels_until') end

union all

select 'split ' || item_id || ' ' || split || ' ' || coalesce(group_id, '') || ' ' || coalesce(slice, '')

from known_item

union all

select 'neighbour ' || neighbour.item_id || ' ' || neighbour.near_item_id

from neighbour

semi join known_item on known_item.item_id = neighbour.item_id

semi join known_item on known_item.item_id = neighbour.near_item_id

union all

select 'vote ' || annotation_id

from vote

union all

select concat_ws(
    ' ',
    'model',
    model_vote.annotation_id,
    model_vote.label,
    model_vote.distribution::varchar,
    reply.prompt_tokens,
    reply.completion_tokens,
    reply.usd
)

from model_vote

left join reply using (reply_id)

order by fact
