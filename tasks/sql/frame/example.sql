-- example: what the gate sees of the examples, read back from the files that would be published.
-- grain:  one row per example
-- reads:  published, main.split, certified, text_in_two_splits, group_in_two_splits, near_other_split
select
    published.item_id,
    published.file as split,
    published.label,
    published.status,
    published.people,
    published.models,
    published.posterior_share,
    published.entropy_nats,
    published.slice,
    length(published.text) as chars,
    case when published.status = 'accepted' then coalesce(certified.label = published.label, false) end as is_certified,
    coalesce(published.split = published.file and given.split = published.file, false) as is_in_its_split,
    twice.text_hash is not null as is_text_in_two_splits,
    grouped.item_id is not null as is_group_in_two_splits,
    near.item_id is not null as is_near_other_split

from published

left join main.split as given on given.item_id = published.item_id

left join certified on certified.item_id = published.item_id

left join text_in_two_splits as twice
    on twice.text_hash = hash(published.text)
    and twice.text_bytes = strlen(published.text)

left join group_in_two_splits as grouped on grouped.item_id = published.item_id

left join near_other_split as near on near.item_id = published.item_id
