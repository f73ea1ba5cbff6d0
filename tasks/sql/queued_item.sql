-- queued_item: items of the review queue, with what people are shown of them.
-- grain:  one row per item of the queue
-- reads:  queue, judged (the consensus it was drawn from), item, answered_document
select
    queue.item_id,
    answered_document.document_id,
    item.text,
    item.context,
    judged.suggestion,
    queue.policy,
    queue.epoch_id,
    queue.inclusion_probability,
    queue.seed

from queue

join item using (item_id)

join answered_document using (item_id)

left join judged using (item_id)

order by queue.place
