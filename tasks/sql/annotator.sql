-- annotator: annotators' labels and agreement, merged over partitions.
-- grain:  one row per annotator and label
-- reads:  annotator_label, repeated_count
with

repeated as (

    select
        annotator_id,
        sum(repeats)::bigint as repeats

    from repeated_count

    group by annotator_id

)

select
    annotator_label.annotator_id,
    annotator_label.label,
    sum(annotations)::bigint as annotations,
    sum(answered)::bigint as answered,
    sum(pairs)::bigint as pairs,
    sum(agreeing)::bigint as agreeing,
    sum(pairs_squared)::bigint as pairs_squared,
    sum(pairs_agreeing)::bigint as pairs_agreeing,
    sum(agreeing_squared)::bigint as agreeing_squared,
    coalesce(any_value(repeats), 0)::bigint as repeats

from annotator_label

left join repeated using (annotator_id)

group by annotator_label.annotator_id, annotator_label.label

order by annotator_label.annotator_id, annotator_label.label
