-- annotator_cost: what each model annotator gave, and what its replies took.
-- grain:  one row per model annotator
-- reads:  model_vote, reply
select
    model_vote.annotator_id,
    count(*) as annotations,
    count(distinct model_vote.item_id) as items,
    count(*) filter (where model_vote.label is null) as abstained,
    round(avg(model_vote.entropy_nats order by model_vote.item_id), 9) as mean_entropy_nats,
    count(reply.reply_id) as calls,
    coalesce(sum(reply.prompt_tokens), 0)::bigint as prompt_tokens,
    coalesce(sum(reply.completion_tokens), 0)::bigint as completion_tokens,
    case when count(reply.usd) = count(*) then round(sum(reply.usd order by model_vote.item_id), 9) end as usd

from model_vote

left join reply using (reply_id)

group by model_vote.annotator_id

order by model_vote.annotator_id
