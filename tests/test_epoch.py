"""An epoch: what ends it, and that a certificate ends with it."""

from collections import Counter

import pytest
from audited import DAYS, VERSIONS, answer, answer_all, curation, draws, later, night, statuses, stream
from prefect.logging import disable_run_logger

from schemas.errors import RequestError
from schemas.run import started
from tasks.known import known


@pytest.fixture(autouse=True)
def _quiet():
    with disable_run_logger():
        yield


def epochs(run, versions=VERSIONS):
    """Return generation, reason and ordinal of the epoch in force."""
    return known(run, versions).sql("select generation, reason, ordinal from epoch_now").fetchall()


def test_another_prompt_begins_another_epoch_and_says_why(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("100 good 0.90 good")})
    run = night(folder, tmp_path, DAYS[0])
    answer_all(run)
    renewed = {"m1": "v-other"}
    later = night(folder, tmp_path, DAYS[1], renewed)
    assert known(later, renewed).sql("select reason, generation from epoch_now").fetchall() == [("version", 0)]
    assert set(draws(later, renewed)["is_answered"]) == {False}
    # people labelled forty in the first epoch: they are not asked about these again
    assert len(known(later, renewed).table("candidate_now")) == 60
    assert "accepted" not in {status for status, _ in statuses(later, renewed).values()}
    # back to the first prompt its answers count as before
    assert Counter(status for status, _ in statuses(later).values()) == {"accepted": 100}


def test_scores_that_change_end_the_certificate_until_another_audit_clears(written, tmp_path):
    documents = {DAYS[0]: stream("150 good 0.90 good", "50 good 0.80 good"),
                 DAYS[1]: {f"1{id}": f"x {text}" for id, text in stream("200 good 0.99 bad").items()}}  # fmt: skip
    folder = curation(written, tmp_path / "c", documents)
    run = night(folder, tmp_path, DAYS[0])
    answer_all(run)
    assert Counter(status for status, _ in statuses(run).values()) == {"accepted": 200}
    later = night(folder, tmp_path, DAYS[1])
    epochs = known(later, VERSIONS).sql("select generation, reason from epoch_now").fetchall()
    assert epochs == [(1, f"scores_changed on {DAYS[1]}")]
    assert {status for status, _ in statuses(later).values()} == {"unresolved"}


@pytest.mark.slow
def test_where_too_few_are_left_for_another_audit_an_expired_certificate_accepts_nothing_all_the_same(
    written, tmp_path
):
    # 195 of 200 are audited; the next night's 40 have other scores and are all wrong, and 45 alone cannot be certified at .05
    documents = {DAYS[0]: stream("160 good 0.90 good", "40 good 0.80 good"), DAYS[1]: later("1", "40 good 0.99 bad")}
    terms = "{max_error: 0.05, confidence: 0.9, audit: 195}"
    folder = curation(written, tmp_path / "c", documents, terms, review="{budget: 400}")
    run = night(folder, tmp_path, DAYS[0])
    answer_all(run)
    assert Counter(status for status, _ in statuses(run).values()) == {"accepted": 200}
    run = night(folder, tmp_path, DAYS[1])
    assert epochs(run) == [(1, f"scores_changed on {DAYS[1]}", 2)]
    assert {status for status, _ in statuses(run).values()} == {"unresolved"}
    assert epochs(night(folder, tmp_path, DAYS[1])) == [(1, f"scores_changed on {DAYS[1]}", 2)]  # and it stays so
    # once there are enough again, the next one has an audit
    documents = later("2", "200 good 0.99 good")
    lines = "".join(f'{{"id": "{id}", "text": "{text}"}}\n' for id, text in documents.items())
    (folder / "data" / f"{DAYS[2]}.jsonl").write_text(lines)
    run = night(folder, tmp_path, DAYS[2])
    assert epochs(run) == [(2, f"scores_changed on {DAYS[1]}", 3)]
    assert len(draws(run)) == 195


def test_a_certificate_that_nobody_watches_lapses(written, tmp_path):
    # all labels of later nights are wrong at the same scores, five a night are watched, and nobody answers: a week after
    # the first of them they begin to count as wrong
    nights = [f"2026-11-{number:02}" for number in (16, 17, 18, 25)]
    documents = {DAYS[0]: stream("100 good 0.90 good")} | {one: later(one[-2:], "20 good 0.90 bad") for one in nights}
    folder = curation(written, tmp_path / "c", documents)
    run = night(folder, tmp_path, DAYS[0])
    answer_all(run)
    for one in nights[:3]:
        run = night(folder, tmp_path, one)
    assert epochs(run) == [(0, "first", 1)]
    assert Counter(status for status, _ in statuses(run).values()) == {"accepted": 160}
    run = night(folder, tmp_path, nights[3])
    ((generation, reason, _),) = epochs(run)
    assert (generation, reason.split(" at ")[0]) == (1, "errors_changed")
    assert "accepted" not in {status for status, _ in statuses(run).values()}


def test_a_slice_that_turns_bad_is_seen_beside_a_large_one_that_stays_good(written, tmp_path):
    def sliced(name, documents):
        return {f"{name}{id}": {"text": f"{name} {text}", "slice": name} for id, text in documents.items()}

    documents = {DAYS[0]: sliced("a", stream("60 good 0.90 good")) | sliced("b", stream("60 good 0.90 good"))}
    documents |= {day: sliced("a", later(day[-1], "54 good 0.90 good")) | sliced("b", later(day[-1], "9 good 0.90 bad")) for day in DAYS[1:]}  # fmt: skip
    terms = "{max_error: 0.2, confidence: 0.9, audit: 40, by_slice: true}"
    folder = curation(written, tmp_path / "c", documents, terms, review="{budget: 400}")
    for day in DAYS[:2]:
        run = night(folder, tmp_path, day)
        answer_all(run)
    watched = draws(run).filter(policy="watch")
    assert Counter(watched["slice"]) == {"a": 10, "b": 9}  # ten of each a night, where there are so many
    ((generation, reason, _),) = epochs(night(folder, tmp_path, DAYS[2]))
    assert (generation, reason.split(" at ")[0], reason[-5:]) == (1, "errors_changed", " in b")


def test_who_was_shown_the_models_label_of_an_item_audits_it_no_more(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("100 good 0.90 bad")})
    run = night(folder, tmp_path, DAYS[0])
    answers = dict.fromkeys(draws(run)["source_id"], "good")
    answer(run, answers, shown=True)
    answer(run, answers)  # the same person, the label hidden now
    assert draws(run)["is_answered"].sum() == 0
    answer(run, dict.fromkeys(answers, "bad"), who="bob")  # somebody else
    assert (draws(run)["is_answered"].sum(), draws(run)["is_wrong"].sum()) == (40, 40)


def test_a_model_whose_labels_change_with_every_item_that_comes_is_not_accepted(written, tmp_path):
    from conftest import write

    model = "  - {name: m1, kind: llm, model: none, calibration: batch}\n"
    folder = write(tmp_path / "c", {}, {}, model, accept="{max_error: 0.2, confidence: 0.9, audit: 40}")
    with pytest.raises(
        RequestError, match="accept cannot take the labels of 'm1': with `calibration: batch` they change"
    ):
        started(str(folder))
