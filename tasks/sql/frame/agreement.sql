-- agreement: figures among people only.
-- grain:  one row
-- reads:  agreement_figure
select
    alpha_low as krippendorff_alpha_low,
    entropy as mean_entropy_nats

from agreement_figure
