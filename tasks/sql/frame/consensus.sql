-- consensus: what the gate sees of how items were settled.
-- grain:  one row per item
-- reads:  consensus; labels
select
    item_id,
    status,
    case when status = 'human' then people end as settled_people,
    case when status = 'human' then posterior_share end as settled_posterior_share,
    case when status = 'human' then is_tie end as settled_is_tie,
    entropy_nats / ln(getvariable('labels')) as entropy_share

from consensus
