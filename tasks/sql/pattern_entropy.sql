-- pattern_entropy: how spread the labels of every pattern are.
-- grain:  one row per pattern
-- reads:  pattern_label, label_set
--
-- entropy_nats is that of the label shares. entropy_jeffreys_nats is its
-- posterior mean under a Dirichlet prior of so many pseudo-labels a label:
-- digamma(A + 1) - sum(alpha / A * digamma(alpha + 1)), with alpha = votes +
-- prior and A their sum (Wolpert and Wolf 1995).
with

prior as (

    -- Jeffreys' prior is nearly unbiased for few labels, but would outweigh
    -- a few votes among many: then Perks'
    select
        count(*) as kinds,
        case when count(*) <= 5 then 0.5 else 1.0 / count(*) end as prior

    from label_set

),

merged as (

    -- partitions that met the same pattern say the same of it
    select distinct
        pattern,
        labels,
        label,
        votes

    from pattern_label

),

argument as (

    select votes + prior + 1 as x from merged, prior

    union

    select labels + kinds * prior + 1 as x from merged, prior

    union

    select prior + 1 as x from prior

),

digamma as (

    -- ten steps up, where the asymptotic series is exact to 1e-14
    select
        x,
        ln(x + 10)
        - 1 / (2 * (x + 10))
        - 1 / (12 * (x + 10) ** 2)
        + 1 / (120 * (x + 10) ** 4)
        - 1 / (252 * (x + 10) ** 6)
        + 1 / (240 * (x + 10) ** 8)
        - 1 / (132 * (x + 10) ** 10)
        - list_sum(list_transform(range(10), lambda step: 1 / (x + step)))
        as value

    from argument

),

spread as (

    -- sorted, so that equal counts add to equal bits
    select
        pattern,
        labels,
        list_sort(list({'fewer': -votes, 'label': label})) as ranked,
        list_sort(list(votes * ln(votes))) as vote_logs,
        list_sort(list((votes + prior.prior) * digamma.value)) as alpha_digammas

    from merged

    cross join prior

    join digamma on digamma.x = votes + prior.prior + 1

    group by pattern, labels

),

topped as (

    select
        *,
        list_filter(ranked, lambda one: one.fewer = ranked[1].fewer) as top

    from spread

)

select
    topped.pattern,
    topped.labels,
    list_transform(top, lambda one: one.label) as top_labels,
    len(top) > 1 as is_tie,
    case
        when len(ranked) = 1
        then 0.0::double
        else ln(topped.labels) - list_sum(vote_logs) / topped.labels
    end as entropy_nats,
    total.value
    - (
        list_sum(alpha_digammas)
        + (kinds - len(ranked)) * prior.prior * unseen.value
    ) / (topped.labels + kinds * prior.prior) as entropy_jeffreys_nats

from topped

cross join prior

join digamma as total
    on total.x = topped.labels + kinds * prior.prior + 1

join digamma as unseen
    on unseen.x = prior.prior + 1

order by topped.pattern
