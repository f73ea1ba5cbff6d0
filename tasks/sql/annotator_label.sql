-- annotator_label: what each annotator says, and how others answer.
-- grain:  one row per annotator and label
-- reads:  annotator_pattern, pattern_label, repeated_vote
--
-- Beside each of the annotator's own labels, pairs counts the labels that
-- co-annotators gave the item, and agreeing those that are the same; their
-- squares and products carry the interval. A second label by the same
-- annotator on the same item is no co-annotator's, and is taken out of all.
with

contribution as (

    select
        annotator_pattern.annotator_id,
        annotator_pattern.label,
        annotator_pattern.votes as annotations,
        annotator_pattern.votes as times,
        pattern_label.labels - 1 as pairs,
        pattern_label.votes - 1 as agreeing

    from annotator_pattern

    join pattern_label using (pattern, label)

    -- less what that counts where an annotator is a co-annotator of themselves
    union all

    select
        repeated_vote.annotator_id,
        repeated_vote.label,
        0,
        -repeated_vote.label_votes,
        pattern_label.labels - 1,
        pattern_label.votes - 1

    from repeated_vote

    join pattern_label using (pattern, label)

    union all

    select
        repeated_vote.annotator_id,
        repeated_vote.label,
        0,
        repeated_vote.label_votes,
        pattern_label.labels - repeated_vote.votes,
        pattern_label.votes - repeated_vote.label_votes

    from repeated_vote

    join pattern_label using (pattern, label)

)

select
    annotator_id,
    label,
    sum(annotations)::bigint as annotations,
    coalesce(sum(times) filter (pairs > 0), 0)::bigint as answered,
    sum(times * pairs)::bigint as pairs,
    sum(times * agreeing)::bigint as agreeing,
    sum(times * pairs * pairs)::bigint as pairs_squared,
    sum(times * pairs * agreeing)::bigint as pairs_agreeing,
    sum(times * agreeing * agreeing)::bigint as agreeing_squared

from contribution

group by annotator_id, label
