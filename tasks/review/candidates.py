"""Items that people's labels may help, those first that another label is expected to tell most of."""

from typing import NamedTuple

import duckdb
import numpy as np

from schemas.curation import Curation
from tasks.endpoint import EMBEDDED_URL, address
from tasks.label_error import is_issue
from tasks.posterior.opinions import opinions, people
from tasks.posterior.votes import vote_counts
from tasks.review.activelab import weighed
from tasks.review.belief import Belief, pooled
from tasks.review.gain import AHEAD, accuracy, gain_nats
from tasks.review.typical import gram_vectors, sentence_vectors, typical_first
from tasks.sql import keep, relation

LEAST_PER_LABEL = 10  # people's labels, for each label there is: with fewer typical items teach most (TypiClust)
MOST_PEOPLE = 9  # who leave an item open: it is ambiguous then, and one more settles nothing
FEWEST_SETTLED = 100  # items settled by people that models judge, to tell which of them are wrong
ERROR_SHARE = 0.1  # of the places, at most, go to labels that may be wrong: few, and the most open of them
DIGITS = 9  # of a gain; what comes after depends on the machine
POOL = 5_000  # items that typical ones are chosen from; the first by id are a random sample
SENTENCES = 1_000  # the same where sentences are encoded: some hundred a second
LABELLED = 1_000  # items with labels that the typical ones are to be unlike


class Ranking(NamedTuple):
    """Candidates, the one that comes first first."""

    row: np.ndarray
    """Row among the candidates, which stand by item id."""
    policy: np.ndarray
    """What a label would be for."""
    gain_nats: np.ndarray
    """What a label is expected to tell of it, in nats."""


def ranking(connection: duckdb.DuckDBPyConnection, curation: Curation, places: int) -> Ranking:
    """Return the candidates by expected gain, which the connection then has as `review_candidate`.

    Reads the relations consensus, vote, model_vote, open_audit, handout and known_item.
    """
    labels = list(curation.labels.values)
    keep(connection, "vote", "review_vote")  # from here on, on this connection, models' opinions are among the votes
    voted = people(connection, labels)
    said, right = opinions(connection, voted, labels), accuracy(vote_counts(voted, len(labels)))
    is_one_enough = curation.consensus.min_labels == 1  # then a second label or a new item is ActiveLab's choice
    found = weighed(voted, said, labels) if is_one_enough else pooled(voted, said, len(labels), right)
    is_cold = len(voted.item) < LEAST_PER_LABEL * len(labels)
    limits = {"min_labels": curation.consensus.min_labels, "ahead": AHEAD, "most_people": MOST_PEOPLE}
    keep(connection, "review_candidate", is_cold=is_cold, **limits)
    rows = connection.sql("select * exclude (item_id) from review_candidate where policy <> 'audit' order by row")
    rows = {name: np.ma.getdata(column) for name, column in rows.fetchnumpy().items()}
    gains = _gains(rows, found, right)
    kept = _kept(rows, found, gains, places)
    rows, gains = {name: column[kept] for name, column in rows.items()}, gains[kept]
    is_encoded = any(address(model.model, model.base_url) == EMBEDDED_URL for model in curation.models)
    turn = _turns(connection, rows, gains, places, is_encoded)
    score = np.where(rows["code"] >= 0, found.score[rows["code"]] if len(found.score) else 0.0, 0.0).round(DIGITS)
    order = np.lexsort((rows["row"], score, turn, -gains))
    return Ranking(rows["row"][order], rows["policy"][order], gains[order])


def _gains(rows: dict[str, np.ndarray], found: Belief, accuracy: float) -> np.ndarray:
    """Return what a label is expected to tell of each candidate, in nats; of a typical one no model's word counts."""
    kinds = found.matrix.shape[1]
    even = gain_nats(np.full((2, kinds), 1 / kinds), accuracy, np.array([1, AHEAD]))
    gains = even[rows["needed"] - 1]
    is_known = (rows["policy"] != "typical") & (rows["code"] >= 0)
    gains[is_known] = gain_nats(found.matrix[rows["code"][is_known]], accuracy, rows["needed"][is_known])
    return gains.round(DIGITS)


def _kept(rows: dict[str, np.ndarray], found: Belief, gains: np.ndarray, places: int) -> np.ndarray:
    """Return which candidates stay: of what people settled a few, those whose label the models contradict most.

    Confident learning; no model was shown the label of an item it was asked about.
    """
    is_settled = rows["policy"] == "label_error"
    settled = np.flatnonzero(is_settled)
    judges = found.models[rows["code"][settled]]
    if len(settled) >= FEWEST_SETTLED:
        settled = settled[is_issue(rows["label"][settled], judges, "both")]
        settled = settled[np.lexsort((settled, -gains[settled]))][: int(ERROR_SHARE * places)]
        is_settled[settled] = False
    return ~is_settled


def _turns(
    connection: duckdb.DuckDBPyConnection, rows: dict[str, np.ndarray], gains: np.ndarray, places: int, is_encoded: bool
) -> np.ndarray:
    """Return each candidate's turn among those of the same gain: 0, or how typical it is."""
    is_typical = rows["policy"] == "typical"
    turn = np.where(is_typical, POOL + 1, 0)
    before = (gains[~is_typical] >= gains[is_typical].max(initial=0)).sum()
    if before >= places or is_typical.sum() <= places:  # there is room for none, or for all
        return turn
    most = SENTENCES if is_encoded else POOL
    pool = relation(connection, "typical_pool", most=most, labelled=LABELLED).fetchnumpy()
    texts, row = pool["text"].tolist(), pool["row"]
    vectors = sentence_vectors(texts) if is_encoded else None
    if vectors is None:
        vectors = gram_vectors(texts)
    first = typical_first(vectors, np.ma.getmaskarray(row), places)
    turn[np.searchsorted(rows["row"], np.ma.getdata(row)[first])] = np.arange(1, len(first) + 1)
    return turn
