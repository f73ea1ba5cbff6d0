-- near_duplicate: pairs of items whose texts are alike, the new item first.
-- grain:  one row per pair with Jaccard similarity of character 5-grams >= $threshold
-- reads:  item, new_item (the ids among them that are new)
-- Exact, by prefix filtering (Chaudhuri et al. 2006; Bayardo et al. 2007): two sets with Jaccard >= t share an element
-- among the first |x| - ceil(t |x|) + 1 of each, whatever the one order of elements; the rarest first makes it cheap.
with

text as (

    select
        item_id,
        (item_id in (select new_item.item_id from new_item), available_on, item_id) as age,
        regexp_replace(lower(text), '[^\pL\pN]+', ' ', 'g') as folded

    from item

),

gram as (

    select distinct
        item_id,
        age,
        hash(folded[position:position + 4]) as gram

    from (

        select
            item_id,
            age,
            folded,
            unnest(range(1, greatest(length(folded) - 3, 2))) as position

        from text

    )

),

frequency as (

    select
        gram,
        count(*) as items

    from gram

    group by gram

),

ranked as (

    select
        gram.item_id,
        gram.age,
        gram.gram,
        row_number() over (partition by gram.item_id order by frequency.items, gram.gram) as rank,
        count(*) over (partition by gram.item_id) as size

    from gram

    join frequency using (gram)

),

prefix as (

    select *

    from ranked

    where rank <= size - ceil($threshold * size - 1e-9) + 1

),

candidate as (

    select distinct
        new.item_id,
        old.item_id as near_item_id,
        new.size as size,
        old.size as near_size

    from prefix as new

    join prefix as old
        on old.gram = new.gram
        -- the later item is near the earlier one; all new items are later than all others
        and old.age < new.age
        and old.size between new.size * $threshold - 1e-9 and new.size / $threshold + 1e-9

    where new.item_id in (select new_item.item_id from new_item)

),

shared as (

    select
        candidate.item_id,
        candidate.near_item_id,
        candidate.size,
        candidate.near_size,
        count(*) as grams

    from candidate

    join gram as new on new.item_id = candidate.item_id

    join gram as old
        on old.item_id = candidate.near_item_id
        and old.gram = new.gram

    group by
        candidate.item_id,
        candidate.near_item_id,
        candidate.size,
        candidate.near_size

)

select
    item_id,
    near_item_id,
    grams / (size + near_size - grams) as similarity

from shared

where grams / (size + near_size - grams) >= $threshold

order by
    item_id,
    near_item_id
