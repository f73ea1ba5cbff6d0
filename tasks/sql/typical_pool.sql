-- typical_pool: texts of candidates to choose typical ones from, and of labelled items that they are to be unlike.
-- grain:  one row per item
-- reads:  known_item, review_candidate, vote
-- Item ids are keyed hashes, so that the first are a random sample. Labelled ones have no row.
with

labelled as (

    select distinct
        item_id,
        null::int as row

    from vote

    where annotator_kind = 'human'

    order by item_id

    limit $labelled

),

unlabelled as (

    select
        item_id,
        row

    from review_candidate

    where policy = 'typical'

    order by row

    limit $most

)

select
    pool.row,
    known_item.text

from (from labelled union all from unlabelled) as pool

join known_item using (item_id)

order by pool.item_id
