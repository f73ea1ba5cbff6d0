"""Intervals of agreement: what is drawn together, and how often they cover the truth."""

import numpy as np
from pytest import approx
from vote_table import EXAMPLE_C, connected, patterned, random_rows

from tasks import agreement
from tasks.agreement.coefficients import coefficients
from tasks.agreement.patterns import weights_of


def test_an_interval_covers_its_figure_and_is_reproducible():
    rows = [row[:3] for row in random_rows()]
    one, other = (agreement.measure(connected(rows))["agreement"] for _ in range(2))
    assert one == other
    for figure in one.values():
        assert figure["low"] < figure["value"] < figure["high"]


def test_intervals_of_the_example_with_gaps_are_near_the_published_ones():
    figure = agreement.measure(connected(EXAMPLE_C))["agreement"]["krippendorff_alpha"]
    # resampling twelve items outright, 4,000 times: about .41 to 1.00
    assert (figure["low"], figure["high"]) == (approx(0.41, abs=0.03), 1.0)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # two annotators, right 8 times of 10 on either label: percent is .8² + .2² = .68, alpha 1 - .32 / .5 = .36
    draw, hits = np.random.default_rng(5), {"percent": 0, "krippendorff_alpha": 0}
    for _ in range(200):
        both, one, none = draw.multinomial(80, [0.34, 0.32, 0.34]).tolist()
        patterns, votes = patterned(("aa", "", both), ("ab", "", one), ("bb", "", none))
        patterns = patterns._replace(units=draw.integers(2**32, size=3).astype(np.uint64))  # draws of its own
        found = coefficients(patterns, votes, weights_of(patterns), ["a", "b"], "nominal")
        hits["percent"] += found["percent"]["low"] <= 0.68 <= found["percent"]["high"]
        hits["krippendorff_alpha"] += found["krippendorff_alpha"]["low"] <= 0.36 <= found["krippendorff_alpha"]["high"]
    # 190 expected of 200; binomial: fewer than 180 has a probability below 1 %
    assert min(hits.values()) >= 180


def test_groups_are_resampled_whole():
    # forty items, one verdict per group of ten: as good as four items, so the interval is wider
    rows = [
        (f"i{n}", who, "ab"[(n // 10 + (who == "B" and n >= 20)) % 2], f"g{n // 10}") for n in range(40) for who in "AB"
    ]
    by_item = agreement.measure(connected([row[:3] for row in rows]))
    by_group = agreement.measure(connected(rows, "item_id, annotator_id, label, group_id"))
    assert (by_item["intervals"], by_group["intervals"]) == ("items", "groups")
    percent = [result["agreement"]["percent"] for result in (by_item, by_group)]
    assert percent[0]["value"] == percent[1]["value"] == 0.5
    assert percent[1]["high"] - percent[1]["low"] > 2 * (percent[0]["high"] - percent[0]["low"])


def test_many_single_groups_share_weights_without_changing_the_interval():
    rows = [(f"i{n}", who, "ab"[(n % 2) ^ (who == "B" and n % 5 == 0)], f"g{n}") for n in range(6_000) for who in "AB"]
    by_group = agreement.measure(connected(rows, "item_id, annotator_id, label, group_id"))["agreement"]["percent"]
    by_item = agreement.measure(connected([row[:3] for row in rows]))["agreement"]["percent"]
    # binomial: .8 ± 1.96 * sqrt(.8 * .2 / 6000) = .8 ± .0101
    for figure in (by_group, by_item):
        assert (figure["low"], figure["high"]) == (approx(0.7899, abs=0.001), approx(0.8101, abs=0.001))
