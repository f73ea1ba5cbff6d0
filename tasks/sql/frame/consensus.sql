-- consensus: what the gate sees of how items were settled.
-- grain:  one row per item
-- reads:  main.consensus; label_values
select
    item_id,
    status,
    label,
    people,
    models,
    posterior_share,
    is_tie,
    entropy_nats / ln(len(getvariable('label_values'))) as entropy_share

from main.consensus
