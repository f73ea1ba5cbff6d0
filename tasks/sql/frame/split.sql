-- split: what the gate sees of the examples, read back from the files that would be published.
-- grain:  one row per example
-- reads:  published, message, known_item, certified
with

given as (

    select
        *,
        row_number() over (partition by file order by item_id) as position

    from published

)

select
    coalesce(given.item_id, 'no row of the table') as item_id,
    given.label,
    given.status,
    case when given.status = 'accepted' then coalesce(certified.label = given.label, false) end as is_certified,
    coalesce(given.split = given.file and known_item.split = given.file, false) as is_in_its_split,
    coalesce(
        message.messages[-1].role = 'assistant'
        and json_extract_string(message.messages[-1].content, '$.label') = given.label
        and json_extract_string(split_part(message.messages[-2].content, chr(10), 2), '$.text') = given.text,
        false
    ) as is_as_labelled

from given

full join message
    on message.file = given.file
    and message.position = given.position

left join known_item on known_item.item_id = given.item_id

left join certified on certified.item_id = given.item_id
