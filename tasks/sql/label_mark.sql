-- label_mark: a number for every label, drawn by digest, that is its alone.
-- grain:  one row per label
-- reads:  vote
--
-- 96 bits of the digest: two billion marks can be added before 127 bits
-- overflow, and two of a million different sums of marks coincide with a
-- probability below 1e-16.
with

used as (

    select distinct label

    from vote

)

select
    label,
    (md5_number(label) >> 32)::hugeint as mark

from used
