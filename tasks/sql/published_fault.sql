-- published_fault: what is wrong with the rows of a release, of each kind how many.
-- grain:  one row per split and kind of fault that is there
-- reads:  published (every row with the split its file is of), label_known
-- Of an item that people have labelled, the label is the most probable in their posterior, be it settled by them or not.
with

judged as (

    select
        *,
        list_max([part.probability for part in posterior]) as greatest,
        list_sum([part.probability for part in posterior if part.label = published.label]) as of_label

    from published

),

fault as (

    select
        file,
        unnest([
            case when item_id is null or text is null or label is null then 'an empty id, text or label' end,
            case when split is distinct from file then 'another split than the file''s' end,
            case when label not in (from label_known) then 'a label that is none of the manifest''s' end,
            case when status not in ('human', 'accepted') then 'a status that settles nothing' end,
            case when status = 'human' and people < 1 then 'settled by people, and nobody labelled it' end,
            case when abs(of_label - greatest) > 1e-8 then 'a label that is not the most probable one' end,
            case when abs(posterior_share - greatest) > 1e-8 then 'a posterior share that its posterior does not have' end
        ]) as what

    from judged

)

select
    file,
    what,
    count(*)::bigint as faults

from fault

where what is not null

group by
    file,
    what

union all

-- an item or a text in two splits, or twice in one
select
    file,
    what,
    count(*)::bigint

from (

    select
        max(file) as file,
        'an item that is there twice' as what

    from published

    group by item_id

    having count(*) > 1

    union all

    select
        max(file),
        'a text that stands in two splits'

    from published

    group by hash(text)

    having count(distinct file) > 1

)

group by
    file,
    what

order by
    file,
    what
