-- cost: what the replies that this release rests on took; null dollars where a price is not known.
-- grain:  one row
-- reads:  model_vote, reply
select
    count(*) as calls,
    coalesce(sum(prompt_tokens), 0)::bigint as prompt_tokens,
    coalesce(sum(completion_tokens), 0)::bigint as completion_tokens,
    case when count(usd) = count(*) then coalesce(round(sum(usd order by reply_id), 9), 0.0) end as usd

from reply

semi join model_vote using (reply_id)
