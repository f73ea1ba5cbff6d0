-- review_candidate: items that a label of a person may help, and what it would be for.
-- grain:  one row per item
-- reads:  consensus, open_audit, handout, item_code, label_code; as_of
-- Settled items are there where a model has an opinion of them and nobody was asked about it: to find wrong labels among
-- them. Of an item that $most_people leave open one more would settle nothing. Codes are -1 where there are none.
with

asked as (

    select distinct item_id

    from handout

    where
        policy = 'label_error'
        and available_on <= getvariable('as_of')

),

candidate as (

    select
        consensus.item_id,
        consensus.label,
        case
            when open_audit.item_id is not null then 'audit'
            when consensus.status = 'human' then 'label_error'
            when consensus.is_tie or consensus.reason in ('tie', 'low_posterior') then 'dispute'
            when consensus.people > 0 then 'second_label'
            when consensus.suggestion is null or $is_cold then 'typical'
            else 'uncertain'
        end as policy,
        -- labels it takes to settle it, as far as one looks ahead
        least(greatest($min_labels - consensus.people, 1), $ahead) as needed

    from consensus

    left join open_audit using (item_id)

    left join asked using (item_id)

    where
        open_audit.item_id is not null
        or consensus.status in ('unresolved', 'review') and consensus.people < $most_people
        or consensus.status = 'human' and consensus.suggestion is not null and asked.item_id is null

)

select
    (row_number() over (order by candidate.item_id) - 1)::int as row,
    candidate.item_id,
    candidate.policy,
    candidate.needed::int as needed,
    coalesce(item_code.code, -1)::int as code,
    coalesce(label_code.code, -1)::int as label

from candidate

left join item_code using (item_id)

left join label_code using (label)
