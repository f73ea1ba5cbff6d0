-- agreement: figures among people only.
-- grain:  one row
-- reads:  agreement_figure, main.consensus
select
    *,
    (
        select avg(is_tie::int)

        from main.consensus

        where people >= 2
    ) as tied_share

from agreement_figure
