-- cost: what the replies that this release rests on took; null dollars where a price is not known.
-- grain:  one row
-- reads:  model_vote, annotation, reply
with

used as (

    -- one a sample, and those that had to be asked for again; a store of an earlier version names only one
    select distinct unnest(coalesce(annotation.reply_ids, [annotation.reply_id])) as reply_id

    from annotation

    semi join model_vote using (annotation_id)

)

select
    count(*) as calls,
    coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
    coalesce(sum(cached_tokens), 0)::bigint as cached_tokens,
    coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
    case when count(usd) = count(*) then coalesce(round(sum(usd order by reply_id), 9), 0.0) end as usd

from reply

semi join used using (reply_id)
