-- function_coverage: how much each labelling function labels, and whether others label the same items and agree.
-- grain:  one row per labelling function
-- reads:  known_item, model_vote, annotation
-- Shares are of all items known by the date, as in Snorkel's LFAnalysis (Ratner et al. 2017): coverage of those the
-- function labels; overlap of those that another one labels too; conflict of those that another one labels otherwise.
-- Its polarity is the labels it gives. Where labels of an item differ, each of them has another that differs from it.
with

function_vote as (

    select
        model_vote.item_id,
        model_vote.annotator_id,
        model_vote.label,
        annotation.reason

    from model_vote

    join annotation using (annotation_id)

    where annotation.annotator_kind = 'function'

),

labelled_item as (

    select
        item_id,
        count(*) as functions,
        count(distinct label) as labels

    from function_vote

    where label is not null

    group by item_id

),

known as (

    select count(*) as items

    from known_item

)

select
    function_vote.annotator_id,
    known.items,
    count(function_vote.label) as labelled,
    count(*) filter (where function_vote.reason = 'abstained') as abstained,
    count(*) filter (where function_vote.reason in ('not_a_label', 'function_failed')) as failed,
    coalesce(
        list(distinct function_vote.label order by function_vote.label) filter (where function_vote.label is not null),
        []
    ) as polarity,
    round(count(function_vote.label) / known.items, 9) as coverage_share,
    round(count(*) filter (where function_vote.label is not null and functions > 1) / known.items, 9) as overlap_share,
    round(count(*) filter (where function_vote.label is not null and labels > 1) / known.items, 9) as conflict_share

from function_vote

left join labelled_item using (item_id)

cross join known

group by
    function_vote.annotator_id,
    known.items

order by function_vote.annotator_id
