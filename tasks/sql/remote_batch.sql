-- remote_batch: batches at endpoints that were sent the text of some items, and whose files there were not deleted yet.
-- grain:  one row per batch
-- reads:  batch
select
    max(remote_id) as remote_id,
    any_value(base_url) as base_url,
    any_value(annotator_id) as annotator_id,
    max(recorded_at) filter (step = 'submitted')::varchar as submitted_at

from batch

group by batch_key

having
    bool_or(step = 'submitted')
    and not bool_or(step = 'cleared')
    and list_has_any(
        list_transform(
            json_transform(max(requests) filter (step = 'planned'), '[["varchar"]]')::varchar[][],
            lambda request: request[2]
        ),
        $items::varchar[]
    )

order by remote_id
