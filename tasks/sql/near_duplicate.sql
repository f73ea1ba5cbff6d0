-- near_duplicate: pairs of items whose texts are alike, the new item first.
-- grain:  one row per pair with Jaccard similarity of character 5-grams >= $threshold
-- reads:  item, new_item (the ids among them that are new)
-- Exact, by prefix filtering (Chaudhuri et al. 2006; Wang et al. 2012): two sets with Jaccard >= t share k elements
-- among the first |x| - ceil(t |x|) + k of each, whatever the one order of elements; the rarest first makes it cheap.
-- With k = 8 one rare word that two texts share (5 grams or so) does not make them a pair to look at.
-- Rarity is counted among the new items, and a gram that none of them has comes first: so of the old items only their
-- number of grams and the grams they share with a new one are held at once.
with

-- the later item is near the earlier one; all new items are later than all others
aged as (

    select
        item.item_id,
        item.text,
        new_item.item_id is not null as is_new,
        row_number() over (order by is_new, item.available_on, item.item_id) as age

    from item

    left join new_item using (item_id)

),

folded as (

    select
        age,
        is_new,
        -- a text without a letter or a digit is compared as it stands: emoji are not all alike
        string_split(
            case
                when regexp_matches(text, '[\pL\pN]')
                then regexp_replace(lower(text), '[^\pL\pN\pM]+', ' ', 'g')
                else lower(text)
            end,
            ''
        ) as letters

    from aged

),

gram_set as (

    select
        age,
        is_new,
        -- lists of letters, as a slice of a text is looked for from its start
        case
            when length(letters) < 5
            then [hash(array_to_string(letters, ''))]
            else list_distinct(list_transform(
                range(1, length(letters) - 3),
                lambda i: hash(
                    letters[i] || letters[i + 1] || letters[i + 2]
                    || letters[i + 3] || letters[i + 4]
                )
            ))
        end as grams

    from folded

),

frequency as (

    select
        gram,
        count(*) as items

    from (select unnest(grams) as gram from gram_set where is_new)

    group by gram

),

gram as (

    select
        every.age,
        every.is_new,
        every.size,
        every.gram,
        frequency.items

    from (

        select
            age,
            is_new,
            length(grams) as size,
            unnest(grams) as gram

        from gram_set

    ) as every

    join frequency using (gram)

),

prefix as (

    select
        age,
        is_new,
        size,
        gram,
        least(8, ceil($threshold * size - 1e-9)) as least_shared

    from gram

    qualify
        size
        - count(*) over (partition by age)
        + row_number() over (partition by age order by items, gram)
        <= size - ceil($threshold * size - 1e-9) + least_shared

),

candidate as (

    select
        new.age as new_age,
        old.age as old_age,
        new.size as new_size,
        old.size as old_size

    from prefix as new

    join prefix as old
        on old.gram = new.gram
        and old.age < new.age
        and old.size between new.size * $threshold - 1e-9 and new.size / $threshold + 1e-9

    where new.is_new

    group by
        new.age,
        old.age,
        new.size,
        old.size,
        new.least_shared,
        old.least_shared

    having count(*) >= least(new.least_shared, old.least_shared)

),

alike as (

    select
        candidate.new_age,
        candidate.old_age,
        length(list_intersect(new.grams, old.grams)) as shared,
        shared / (candidate.new_size + candidate.old_size - shared) as similarity

    from candidate

    join gram_set as new on new.age = candidate.new_age

    join gram_set as old on old.age = candidate.old_age

)

select
    new.item_id,
    old.item_id as near_item_id,
    alike.similarity

from alike

join aged as new on new.age = alike.new_age

join aged as old on old.age = alike.old_age

where alike.similarity >= $threshold

order by
    new.item_id,
    old.item_id
