-- reviewed: the consensus, with what is in the queue and not settled under review.
-- grain:  one row per item
-- reads:  consensus, queue
select consensus.* replace (
    case
        when consensus.status in ('human', 'accepted') then consensus.status
        when queue.item_id is not null then 'review'
        else 'unresolved'
    end as status
)

from consensus

left join queue using (item_id)

order by consensus.item_id
