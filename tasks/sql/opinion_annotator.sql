-- opinion_annotator: annotators as numbered, and whether they are machines.
-- grain:  one row per annotator
-- reads:  vote, annotator_code
--
-- Who is not said to be a machine is a person.
with

complete as (

    select *

    from vote

    -- optional: an absent column is null
    union all by name

    select null::varchar as annotator_kind

    where false

)

select
    annotator_code.code,
    complete.annotator_id,
    bool_or(coalesce(complete.annotator_kind, 'human') <> 'human') as is_machine

from complete

join annotator_code using (annotator_id)

group by annotator_code.code, complete.annotator_id

order by annotator_code.code
