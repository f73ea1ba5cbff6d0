-- file: whether every shape holds what the table holds.
-- grain:  one row
-- reads:  published, chat, shape_row; has_chats
-- A chat and an example are one where text and label (of a comparison: the answer it prefers) are; in which order they
-- stand is of no account.
with

paired as (

    select
        file,
        pair,
        sum(one) as more

    from (

        select
            file,
            pair,
            1 as one

        from chat

        union all

        select
            file,
            hash(said, text),
            -1

        from published

        where getvariable('has_chats')

    )

    group by
        file,
        pair

    having sum(one) <> 0

)

select
    (
        select coalesce(sum(abs(shape_row.lines - shape_row.each * coalesce(part.examples, 0))), 0)::bigint

        from shape_row

        left join (select file, count(*) as examples from published group by file) as part using (file)
    ) as differing_rows,
    coalesce(greatest(sum(more) filter (more > 0), -sum(more) filter (more < 0)), 0)::bigint as differing_chats

from paired
