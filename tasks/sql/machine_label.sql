-- machine_label: what each machine says, and how people answer.
-- grain:  one row per machine and label
-- reads:  machine_vote, item_pattern, pattern_label (of people)
--
-- As annotator, with people's labels of the item in the place of
-- co-annotators'.
with

used as (

    select
        machine_vote.annotator_id,
        machine_vote.label,
        item_pattern.pattern,
        item_pattern.labels,
        count(*)::bigint as annotations

    from machine_vote

    join item_pattern using (item_id)

    group by all

),

answered as (

    select
        used.annotator_id,
        used.label,
        used.annotations,
        used.labels as pairs,
        coalesce(pattern_label.votes, 0) as agreeing

    from used

    left join pattern_label using (pattern, label)

)

select
    annotator_id,
    label,
    sum(annotations)::bigint as annotations,
    sum(annotations)::bigint as answered,
    sum(annotations * pairs)::bigint as pairs,
    sum(annotations * agreeing)::bigint as agreeing,
    sum(annotations * pairs * pairs)::bigint as pairs_squared,
    sum(annotations * pairs * agreeing)::bigint as pairs_agreeing,
    sum(annotations * agreeing * agreeing)::bigint as agreeing_squared,
    0::bigint as repeats

from answered

group by annotator_id, label

order by annotator_id, label
