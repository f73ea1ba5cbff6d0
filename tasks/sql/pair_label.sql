-- pair_label: what two annotators said of the items both have labelled.
-- grain:  one row per pair of annotators and pair of labels
-- reads:  vote, repeated_vote
--
-- Of many annotators only the 150 with the most labels are paired, so that
-- no table makes more than 11,175 pairs. Several labels by one annotator on an
-- item are each paired; items counts the item once, in the row of the first.
-- The cell is a digest, so that it seeds the same draws wherever it is counted.
with

frequent as (

    select annotator_id

    from vote

    group by annotator_id

    order by count(*) desc, annotator_id

    limit 150

),

annotator as (

    select
        annotator_id,
        row_number() over (order by annotator_id)::int as annotator

    from frequent

),

used as (

    select
        label,
        row_number() over (order by label)::int as code

    from (select distinct label from vote)

),

said as (

    select
        vote.item_id,
        vote.annotator_id,
        vote.label,
        1 as votes,
        true as is_first

    from vote

    anti join repeated_vote using (item_id, annotator_id)

    union all

    select
        item_id,
        annotator_id,
        label,
        label_votes as votes,
        label = min(label) over (partition by item_id, annotator_id) as is_first

    from repeated_vote

),

coded as (

    -- pairs are matched as numbers: strings would take twice as long
    select
        said.item_id,
        annotator.annotator,
        used.code,
        said.votes,
        said.is_first

    from said

    join annotator using (annotator_id)

    join used using (label)

),

cell as (

    select
        one.annotator as one,
        other.annotator as other,
        one.code as one_code,
        other.code as other_code,
        sum(one.votes * other.votes)::bigint as label_pairs,
        count_if(one.is_first and other.is_first)::bigint as items

    from coded as one

    join coded as other
        on one.item_id = other.item_id
        and one.annotator < other.annotator

    group by one.annotator, other.annotator, one.code, other.code

)

select
    annotator_a.annotator_id as annotator_a,
    annotator_b.annotator_id as annotator_b,
    label_a.label as label_a,
    label_b.label as label_b,
    cell.label_pairs,
    cell.items,
    md5_number_lower(
        concat_ws(
            chr(31),
            annotator_a.annotator_id,
            annotator_b.annotator_id,
            label_a.label,
            label_b.label
        )
    )::ubigint as cell

from cell

join annotator as annotator_a on annotator_a.annotator = cell.one

join annotator as annotator_b on annotator_b.annotator = cell.other

join used as label_a on label_a.code = cell.one_code

join used as label_b on label_b.code = cell.other_code

order by annotator_a, annotator_b, label_a, label_b
