-- annotator_cost: what each model annotator gave, and what its replies took.
-- grain:  one row per model annotator
-- reads:  model_vote, annotation, reply
-- A reply that several annotators share counts for each of them, and once for each.
with

given as (

    select
        annotator_id,
        count(*) as annotations,
        count(distinct item_id) as items,
        count(*) filter (where label is null) as abstained,
        round(avg(entropy_nats order by item_id), 9) as mean_entropy_nats

    from model_vote

    group by annotator_id

),

used as (

    select distinct
        model_vote.annotator_id,
        unnest(coalesce(annotation.reply_ids, [annotation.reply_id])) as reply_id

    from model_vote

    join annotation using (annotation_id)

),

taken as (

    select
        used.annotator_id,
        count(*) as calls,
        sum(reply.prompt_tokens)::bigint as prompt_tokens,
        sum(coalesce(reply.cached_tokens, 0))::bigint as cached_tokens,
        sum(reply.completion_tokens)::bigint as completion_tokens,
        case when count(reply.usd) = count(*) then round(sum(reply.usd order by reply.reply_id), 9) end as usd

    from used

    join reply using (reply_id)

    group by used.annotator_id

)

select
    given.annotator_id,
    given.annotations,
    given.items,
    given.abstained,
    given.mean_entropy_nats,
    coalesce(taken.calls, 0) as calls,
    coalesce(taken.prompt_tokens, 0) as prompt_tokens,
    coalesce(taken.cached_tokens, 0) as cached_tokens,
    coalesce(taken.completion_tokens, 0) as completion_tokens,
    taken.usd,
    round(1000 * taken.usd / given.items, 9) as usd_per_1000_items

from given

left join taken using (annotator_id)

order by given.annotator_id
