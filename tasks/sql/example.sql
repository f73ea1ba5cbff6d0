-- example: settled items that no split forbids.
-- grain:  one row per item
-- reads:  consensus, known_item, bridge, document; as_of
-- An item whose label is $tie (null where no label says so) prefers neither answer, and so teaches no preference.
select
    consensus.item_id,
    known_item.split,
    known_item.text,
    known_item.context,
    consensus.label,
    consensus.status,
    consensus.posterior,
    consensus.posterior_share,
    consensus.entropy_nats,
    consensus.people,
    consensus.models,
    known_item.group_id,
    known_item.slice,
    (
        select to_json(list(document.document_id order by document.document_id))::varchar

        from document

        where
            document.item_id = consensus.item_id
            and document.available_on <= getvariable('as_of')
    ) as document_ids

from consensus

join known_item using (item_id)

anti join bridge using (item_id)

where
    consensus.status in ('human', 'accepted')
    and consensus.label is distinct from $tie

order by consensus.item_id
