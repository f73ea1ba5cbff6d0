"""The audit: what is drawn, when, with what chance; and what is accepted of a model's labels once it is answered."""

import json
from collections import Counter

import pytest
from audited import DAYS, MODEL, VERSIONS, answer, answer_all, curation, draws, night, say, statuses, stream, truly
from prefect.logging import disable_run_logger

from schemas.errors import RequestError
from schemas.run import started
from tasks.audit import draw_audit
from tasks.known import known
from tasks.store import Store


@pytest.fixture(autouse=True)
def _quiet():
    with disable_run_logger():
        yield


def test_the_audit_is_a_sample_by_lot_and_nothing_is_accepted_before_it_is_answered(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("100 good 0.90 good")})
    run = night(folder, tmp_path, DAYS[0])
    drawn = draws(run)
    assert (len(drawn), drawn["place"].to_list()) == (40, list(range(1, 41)))
    assert set(drawn["inclusion_probability"]) == {0.4}  # 40 of 100
    assert Counter(status for status, _ in statuses(run).values()) == {"unresolved": 100}
    positions = known(run, VERSIONS).sql("select item_id, draw_position from candidate_now order by 2").fetchall()
    assert drawn["item_id"].to_list() == [item_id for item_id, _ in positions[:40]]
    answer(run, {source: truly(source) for source in drawn["source_id"]})
    assert Counter(statuses(run).values()) == {("accepted", "good"): 100}


def test_a_model_that_errs_too_often_is_accepted_nowhere_and_what_it_is_sure_of_where_that_is_right(written, tmp_path):
    wrong = curation(written, tmp_path / "w", {DAYS[0]: stream("60 good 0.99 good", "40 bad 0.99 good")})
    run = night(wrong, tmp_path / "hw", DAYS[0])
    answer_all(run)
    assert {status for status, _ in statuses(run).values()} == {"unresolved"}
    half = curation(written, tmp_path / "h", {DAYS[0]: stream("60 good 0.99 good", "40 bad 0.60 good")})
    run = night(half, tmp_path / "hh", DAYS[0])
    answer_all(run)
    found = Counter((status, source.split("-")[2]) for source, (status, _) in statuses(run).items())
    assert found == {("accepted", "0.99"): 60, ("unresolved", "0.60"): 40}


def test_answers_given_with_the_models_label_in_sight_audit_nothing(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("100 good 0.90 good")})
    run = night(folder, tmp_path, DAYS[0])
    answer(run, {source: truly(source) for source in draws(run)["source_id"]}, shown=True)
    assert draws(run)["is_answered"].sum() == 0
    assert "accepted" not in {status for status, _ in statuses(run).values()}


def test_an_accepted_label_that_a_person_contradicts_is_not_published(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("97 good 0.90 good", "3 good 0.90 bad")})
    run = night(folder, tmp_path, DAYS[0])
    sources = [*draws(run)["source_id"], *(source for source in stream("97 good 0.90 good", "3 good 0.90 bad") if truly(source) == "bad")]  # fmt: skip
    answer(run, {source: truly(source) for source in sources})
    found = statuses(run)
    assert Counter(status for source, (status, _) in found.items() if truly(source) == "bad") == {"unresolved": 3}
    assert Counter(status for source, (status, _) in found.items() if truly(source) == "good") == {"accepted": 97}


def test_a_second_run_of_a_night_draws_nothing_and_later_nights_a_few_to_keep_watch(written, tmp_path):
    documents = {DAYS[0]: stream("100 good 0.90 good"), DAYS[1]: {f"1{id}": f"more {text}" for id, text in stream("60 good 0.90 good").items()}}  # fmt: skip
    folder = curation(written, tmp_path / "c", documents)
    run = night(folder, tmp_path, DAYS[0])
    assert len(draws(night(folder, tmp_path, DAYS[0]))) == 40
    answer_all(run)
    later = night(folder, tmp_path, DAYS[1])
    watched = draws(later)[40:]
    assert (watched["policy"].to_list(), watched["place"].to_list()) == (["watch"] * 5, list(range(41, 46)))
    assert set(watched["inclusion_probability"]) == {5 / 60}  # a twentieth of the queue's 100, of the night's 60
    assert len(draws(night(folder, tmp_path, DAYS[1]))) == 45
    # five without an answer yet, the last drawn, do not undo what forty have proven
    assert Counter(status for status, _ in statuses(later).values()) == {"accepted": 160}


def test_the_queue_bounds_a_nights_audit_and_the_next_night_goes_on(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("100 good 0.90 good")}, review="{budget: 25}")
    run = night(folder, tmp_path, DAYS[0])
    assert len(draws(run)) == 25
    assert len(draws(night(folder, tmp_path, DAYS[1]))) == 25  # none was answered: the queue is full
    answer_all(run)
    last = draws(night(folder, tmp_path, DAYS[2]))
    assert last["inclusion_probability"].to_list() == [0.25] * 25 + [15 / 75] * 15


def test_a_run_for_an_earlier_date_draws_nothing_and_sees_what_was_drawn_by_then(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[1]: stream("100 good 0.90 good")})
    run = night(folder, tmp_path, DAYS[1])
    (folder / "data" / f"{DAYS[0]}.jsonl").write_text('{"id": "9999-good-0.9-good", "text": "an older one"}\n')
    earlier = started(str(folder), run.as_of.replace(day=15), "then", str(tmp_path))
    assert draw_audit.fn(earlier, VERSIONS) == {"joined": 0, "drawn": 0}
    assert len(draws(earlier)) == 0
    now = earlier.model_copy(update={"labels": "now", "as_of": run.as_of})
    assert len(draws(now)) == 40


def test_slices_are_certified_one_by_one_and_one_with_too_few_items_is_left_to_people(written, tmp_path):
    documents = {
        f"{id}": {"text": text, "slice": "large" if number < 100 else "poor" if number < 200 else "small"}
        for number, (id, text) in enumerate(
            stream("100 good 0.90 good", "100 good 0.90 bad", "10 good 0.90 good").items()
        )
    }
    folder = curation(written, tmp_path / "c", {DAYS[0]: documents}, "{max_error: 0.2, confidence: 0.9, audit: 40, by_slice: true}")  # fmt: skip
    run = night(folder, tmp_path, DAYS[0])
    drawn = draws(run)
    assert Counter(drawn["slice"]) == {"large": 40, "poor": 40}
    (thresholds,) = known(run, VERSIONS).sql("select thresholds from epoch_now").fetchone()
    assert sorted(json.loads(thresholds)) == ["large", "poor"]
    answer(run, {source: truly(source) for source in drawn["source_id"]})
    found = Counter((documents[source]["slice"], status) for source, (status, _) in statuses(run).items())
    assert found == {("large", "accepted"): 100, ("poor", "unresolved"): 100, ("small", "unresolved"): 10}


def test_a_batch_is_looked_at_once_all_of_its_audit_is_answered(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("100 good 0.90 good")}, "{max_error: 0.2, confidence: 0.9, audit: 40, claim: batch}")  # fmt: skip
    run = night(folder, tmp_path, DAYS[0])
    sources = draws(run)["source_id"].to_list()
    answer(run, {source: truly(source) for source in sources[:39]})
    assert "accepted" not in {status for status, _ in statuses(run).values()}
    answer(run, {sources[39]: truly(sources[39])})
    assert Counter(status for status, _ in statuses(run).values()) == {"accepted": 100}
    # the next batch has its own audit, and what the first one proved stays proven
    more = {f"1{id}": f"more {text}" for id, text in stream("50 good 0.90 good").items()}
    (folder / "data" / f"{DAYS[1]}.jsonl").write_text("".join(json.dumps({"id": id, "text": text}) + "\n" for id, text in more.items()))  # fmt: skip
    later = night(folder, tmp_path, DAYS[1])
    assert len(draws(later)) == 80
    assert Counter(status for status, _ in statuses(later).values()) == {"accepted": 100, "unresolved": 50}


def test_nothing_is_drawn_without_accept_or_with_too_few_items(written, tmp_path):
    plain = written(tmp_path / "p", {DAYS[0]: stream("9 good 0.90 good")}, {}, MODEL)
    assert len(draws(night(plain, tmp_path / "hp", DAYS[0]))) == 0
    few = curation(written, tmp_path / "f", {DAYS[0]: stream("5 good 0.90 good")})
    run = night(few, tmp_path / "hf", DAYS[0])
    assert len(draws(run)) == 0
    assert len(Store(run.store).connect().table("epoch")) == 0


def test_accept_names_a_model_of_the_curation(written, tmp_path):
    folder = curation(written, tmp_path / "c", {}, "{max_error: 0.1, annotator: nobody}")
    with pytest.raises(RequestError, match=r"accept.annotator names no model among the annotators: 'nobody'"):
        started(str(folder))
    folder = written(tmp_path / "d", {}, {}, accept="{max_error: 0.1}")
    with pytest.raises(RequestError, match="accept needs a model among the annotators"):
        started(str(folder))


def test_what_another_run_draws_at_the_same_time_is_drawn_once(written, tmp_path):
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("100 good 0.90 good")})
    run = night(folder, tmp_path, DAYS[0])
    say(run)
    assert draw_audit.fn(run, VERSIONS) == {"joined": 0, "drawn": 0}
    assert draws(run)["place"].n_unique() == 40


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_run_killed_between_its_writes_draws_the_same_when_it_is_started_again(written, tmp_path, monkeypatch, nth):
    documents = {DAYS[0]: stream("100 good 0.90 good")}
    whole = draws(night(curation(written, tmp_path / "a", documents), tmp_path / "ha", DAYS[0]))
    folder, real, calls = curation(written, tmp_path / "b", documents), Store.merge, []

    def merge(store, table, rows):
        if table in ("epoch", "candidate", "draw"):
            calls.append(table)
            if len(calls) == nth:
                raise KeyboardInterrupt
        return real(store, table, rows)

    monkeypatch.setattr(Store, "merge", merge)
    with pytest.raises(KeyboardInterrupt):
        night(folder, tmp_path / "hb", DAYS[0])
    assert calls == ["epoch", "candidate", "draw"][:nth]
    again = draws(night(folder, tmp_path / "hb", DAYS[0]))
    told = ("draw_id", "epoch_id", "item_id", "policy", "place", "inclusion_probability", "seed", "available_on")
    assert again.select(told).equals(whole.select(told))


def test_what_the_certificate_says_rests_on_these_counts(written, tmp_path):
    from tasks.release.certificate import certificate

    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("95 good 0.90 good", "5 good 0.90 bad")})
    run = night(folder, tmp_path, DAYS[0])
    sources = draws(run)["source_id"].to_list()
    wrong = sum(truly(source) == "bad" for source in sources)
    answer(run, {source: truly(source) for source in sources})
    found = certificate(known(run, VERSIONS), run.curation.accept, ["good", "bad"])
    assert found["statement"].startswith("Of the 100 labels accepted without a person")
    counts = ("items", "accepted", "drawn", "audited", "errors", "audited_accepted", "errors_accepted")
    assert [found[count] for count in counts] == [100, 100, 40, 40, wrong, 40, wrong]
    accuracy = found["accuracy"]
    assert accuracy["low"] <= 0.95 <= accuracy["high"]
    assert (accuracy["n"], accuracy["population"]) == (40, 100)
    assert found["prevalence"]["bad"]["low"] <= 0.05 <= found["prevalence"]["bad"]["high"]
    assert found["epochs"][0]["terms"]["version"] == "v-m1"


def test_items_of_later_nights_weigh_more_in_the_accuracy_where_they_were_less_likely_to_be_drawn(written, tmp_path):
    # 40 of the first night's 100 are drawn, and 5 of the second night's 60, which are all wrong: of 160 labels 100 are right
    from tasks.release.certificate import certificate

    more = {f"1{id}": f"more {text}" for id, text in stream("60 good 0.90 bad").items()}
    folder = curation(written, tmp_path / "c", {DAYS[0]: stream("100 good 0.90 good"), DAYS[1]: more})
    run = night(folder, tmp_path, DAYS[0])
    answer_all(run)
    run = night(folder, tmp_path, DAYS[1])
    answer_all(run)
    found = certificate(known(run, VERSIONS), run.curation.accept, ["good", "bad"])["accuracy_all"]
    assert found["value"] == pytest.approx(100 / 160, abs=0.05)  # unweighted it would be 40 of 45, .89
    assert found["low"] <= 100 / 160 <= found["high"]


def test_terms_that_no_audit_can_meet_are_refused_with_what_it_would_take(written, tmp_path):
    from tasks.epoch import attainable, least_answers

    folder = curation(written, tmp_path / "c", {}, "{max_error: 0.05, confidence: 0.9, audit: 40}", review="{usd_per_item: 0.25}")  # fmt: skip
    with pytest.raises(
        RequestError, match=r"an audit of 40 can never certify an error of at most 5.00% .* it takes \d+ answers"
    ):
        attainable(started(str(folder)).curation)
    folder = curation(written, tmp_path / "d", {}, "{max_error: 0.05, confidence: 0.9, audit: 300, claim: batch}", review="{usd_per_item: 0.25}")  # fmt: skip
    found = least_answers(started(str(folder)).curation)
    assert (found["least"], found["audit"]) == (45, 300)  # .95^45 = .0994, the first below .1
    assert found["least_cost"] == {"minutes": 22.5, "usd": 11.25}
    assert found["cost"] == {"minutes": 150.0, "usd": 75.0}


def test_slices_of_several_batches_stand_apart_in_the_certificate(written, tmp_path):
    from tasks.release.certificate import certificate

    def sliced(prefix, documents):
        return {f"{prefix}{id}": {"text": f"{prefix} {text}", "slice": "s"} for id, text in documents.items()}

    documents = {day: sliced(day[-1], stream("50 good 0.90 good")) for day in DAYS[:2]}
    terms = "{max_error: 0.2, confidence: 0.9, audit: 40, claim: batch, by_slice: true}"
    folder = curation(written, tmp_path / "c", documents, terms)
    for day in DAYS[:2]:
        run = night(folder, tmp_path, day)
        answer_all(run)
    found = certificate(known(run, VERSIONS), run.curation.accept, ["good", "bad"])
    assert {name: one["accepted"] for name, one in found["slices"].items()} == {"s (batch 1)": 50, "s (batch 2)": 50}
    assert (found["items"], found["accepted"]) == (100, 100)
