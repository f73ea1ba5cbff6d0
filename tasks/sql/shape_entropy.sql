-- shape_entropy: how spread labels with these counts are, in nats.
-- grain:  one row per shape, the counts of an item's labels in rising order
-- reads:  pattern_shape, label_count
--
-- entropy_nats is the entropy of the n labels' shares.
-- entropy_miller_madow_nats adds (labels in use - 1) / 2n (Miller 1955).
-- entropy_chao_shen_nats allows for labels not met (Chao and Shen 2003).
-- entropy_dirichlet_nats and entropy_dirichlet_sd_nats are its mean and its standard
-- deviation under a Dirichlet prior (Wolpert and Wolf 1995). With alpha =
-- votes + prior, A their sum, w = alpha / A, and over all labels
-- s = digamma(A + 1) - digamma(alpha + 1) and
-- t = (alpha + 1) * trigamma(alpha + 1) - (A + 1) * trigamma(A + 1),
-- their sums gather to mean = sum(w * s)
-- and variance = (sum(w * (s^2 + t)) - mean^2) / (A + 1).
with

prior as (

    -- Jeffreys' prior is nearly unbiased for few labels, but would outweigh
    -- a few votes among many: then Perks'
    select
        kinds,
        case when kinds <= 5 then 0.5::double else 1 / kinds end as prior

    from label_count

),

shape as (

    select
        shape,
        labels,
        -- an item stands for all of its shape
        min(pattern) as specimen,
        -- Good's share of all labels that have been met, by how many were met
        -- only once; of n that were, one is taken as met before
        greatest(labels - len(list_filter(shape, lambda one: one = 1)), 1)
        / labels as coverage

    from pattern_shape

    group by shape, labels

),

part as (

    -- labels of equal counts add alike, and so do those nobody chose
    select
        specimen,
        labels,
        coverage,
        votes,
        count(*) as sharing

    from (select *, unnest(shape) as votes from shape)

    group by specimen, labels, coverage, votes

    union all

    select
        specimen,
        labels,
        coverage,
        0 as votes,
        kinds - len(shape) as sharing

    from shape

    cross join prior

    where kinds > len(shape)

),

argument as (

    select
        'label' as whose,
        votes as n,
        votes + prior as alpha

    from part

    cross join prior

    union

    select
        'item' as whose,
        labels as n,
        labels + kinds * prior as alpha

    from shape

    cross join prior

),

gamma as (

    -- at alpha + 1, from ten steps up, where the series are exact to 1e-14
    select
        whose,
        n,
        alpha,
        ln(alpha + 11)
        - 1 / (2 * (alpha + 11))
        - 1 / (12 * (alpha + 11) ** 2)
        + 1 / (120 * (alpha + 11) ** 4)
        - 1 / (252 * (alpha + 11) ** 6)
        + 1 / (240 * (alpha + 11) ** 8)
        - 1 / (132 * (alpha + 11) ** 10)
        - list_sum([1 / (alpha + step) for step in range(1, 11)])
        as digamma,
        1 / (alpha + 11)
        + 1 / (2 * (alpha + 11) ** 2)
        + 1 / (6 * (alpha + 11) ** 3)
        - 1 / (30 * (alpha + 11) ** 5)
        + 1 / (42 * (alpha + 11) ** 7)
        - 1 / (30 * (alpha + 11) ** 9)
        + 5 / (66 * (alpha + 11) ** 11)
        + list_sum([1 / (alpha + step) ** 2 for step in range(1, 11)])
        as trigamma

    from argument

),

weighed as (

    select
        part.specimen,
        part.labels,
        part.sharing,
        nullif(part.votes, 0) / part.labels as share,
        share * part.coverage as covered,
        whole.alpha as total,
        part.sharing * own.alpha / whole.alpha as w,
        whole.digamma - own.digamma as s,
        (own.alpha + 1) * own.trigamma - (whole.alpha + 1) * whole.trigamma as t

    from part

    join gamma as own
        on own.whose = 'label'
        and own.n = part.votes

    join gamma as whole
        on whole.whose = 'item'
        and whole.n = part.labels

),

term as (

    -- in units of 2^-100: integers add to the same sum in any order
    select
        specimen,
        labels,
        total,
        (sharing * share * ln(1 / share) * 2 ** 100)::hugeint as plug_in,
        (
            sharing * covered * ln(1 / covered)
            / (1 - (1 - covered) ** labels) * 2 ** 100
        )::hugeint as chao_shen,
        (w * s * 2 ** 100)::hugeint as posterior,
        (w * (s ** 2 + t) * 2 ** 100)::hugeint as square

    from weighed

),

added as (

    select
        specimen,
        labels,
        total,
        sum(plug_in) / 2 ** 100 as plug_in,
        sum(chao_shen) / 2 ** 100 as chao_shen,
        sum(posterior) / 2 ** 100 as posterior,
        sum(square) / 2 ** 100 as square

    from term

    group by specimen, labels, total

)

select
    shape.shape,
    plug_in as entropy_nats,
    plug_in + (len(shape.shape) - 1) / (2 * added.labels)
    as entropy_miller_madow_nats,
    chao_shen as entropy_chao_shen_nats,
    posterior as entropy_dirichlet_nats,
    sqrt(greatest(square - posterior ** 2, 0) / (total + 1))
    as entropy_dirichlet_sd_nats,
    posterior / nullif(ln(kinds), 0) as entropy_dirichlet_normalised

from added

join shape using (specimen)

cross join prior
