-- annotator_label: what each annotator says, and how others answer.
-- grain:  one row per annotator and label
-- reads:  vote, item_pattern, pattern_label, repeated_vote
--
-- pairs counts the labels of co-annotators beside each of the annotator's
-- own, agreeing those that are the same. A second label by the same annotator
-- on the same item is no co-annotator's, and is taken out of both.
with

pattern_use as (

    select
        vote.annotator_id,
        vote.label,
        item_pattern.pattern,
        count(*)::bigint as annotations

    from vote

    join item_pattern using (item_id)

    group by vote.annotator_id, vote.label, item_pattern.pattern

),

answered as (

    select
        pattern_use.annotator_id,
        pattern_use.label,
        sum(annotations)::bigint as annotations,
        sum(annotations * (labels - 1))::bigint as pairs,
        sum(annotations * (votes - 1))::bigint as agreeing

    from pattern_use

    join pattern_label using (pattern, label)

    group by pattern_use.annotator_id, pattern_use.label

),

own as (

    select
        annotator_id,
        label,
        sum(label_votes * (votes - 1))::bigint as pairs,
        sum(label_votes * (label_votes - 1))::bigint as agreeing

    from repeated_vote

    group by annotator_id, label

)

select
    answered.annotator_id,
    answered.label,
    answered.annotations,
    answered.pairs - coalesce(own.pairs, 0) as pairs,
    answered.agreeing - coalesce(own.agreeing, 0) as agreeing

from answered

left join own using (annotator_id, label)
