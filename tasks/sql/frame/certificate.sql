-- certificate: what is taken from models, and what stands for it.
-- grain:  one row
-- reads:  published, proof
select
    (
        select count(*)

        from published

        where status = 'accepted'
    ) as accepted,
    certified_slices

from proof
