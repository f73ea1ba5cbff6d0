"""Few-shot pools: frozen once, from what people settled of the training split, and never an item's own kin."""

import importlib.util
import logging

import pytest
from scripted import asked, settle

from tasks import annotation
from tasks.annotation import needs_pool, versions
from tasks.annotator.embedded import minilm

FEW = ["{name: few, kind: llm, model: m, prompt: few_shot, shots: 3}"]


def test_a_few_shot_annotator_waits_until_people_have_settled_enough_and_says_so(bench, stub, caplog, monkeypatch):
    monkeypatch.setattr(annotation, "get_run_logger", lambda: logging.getLogger("run"))  # a run's logger is Prefect's
    bench.change(models=FEW)
    bench.arrive(1, "Fine.")
    assert bench.freeze("few") == 0
    assert "few waits: 0 examples settled by people, 3 needed" in caplog.text
    assert versions.fn(bench.run()) == {}
    assert needs_pool.fn(bench.run(), bench.run().curation.models[0])


def test_a_pool_is_frozen_once_from_training_items_that_people_settled(bench, stub):
    bench.change(models=FEW)
    settle(bench, *(f"Review number {n}" for n in range(30)))
    size = bench.freeze("few")
    training = bench.sql("select item_id from split where split = 'train' order by item_id")
    assert bench.sql("select item_id from shot order by item_id") == training and size == len(training)

    before = versions.fn(bench.run())
    settle(bench, *(f"Later review {n}" for n in range(30)), name="later")
    assert bench.freeze("few") == size
    assert (versions.fn(bench.run()), bench.sql("select count(*) from shot")) == (before, [(size,)])


def test_a_greater_pool_number_freezes_a_new_one_and_begins_a_version(bench, stub):
    bench.change(models=FEW)
    settle(bench, *(f"Review number {n}" for n in range(12)))
    bench.freeze("few")
    before = versions.fn(bench.run())
    settle(bench, *(f"Later review {n}" for n in range(12)), name="later")
    bench.change(models=[FEW[0].replace("shots: 3", "shots: 3, pool: 2")])
    assert needs_pool.fn(bench.run(), bench.run().curation.models[0])
    bench.freeze("few")
    assert versions.fn(bench.run()) != before


def test_an_example_whose_label_is_gone_is_not_shown(bench, stub):
    bench.change(models=FEW)
    settle(bench, *(f"Review number {n}" for n in range(12)))
    bench.freeze("few")
    bench.change(labels={"great": "Happy.", "bad": "Unhappy."})
    assert versions.fn(bench.run()) == {}


installed = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in (*minilm.ENGINE, minilm.WEIGHTS)),
    reason="examples are chosen with the embedded model, which is not installed",
)


@installed
def test_an_item_is_never_shown_its_own_group_or_its_near_duplicates(bench, stub):
    bench.change(models=FEW, extra="splits: {train: 1, validation: 0, test: 0}")
    settle(
        bench,
        *(f"{word} was the word of the evening" for word in ("Cold", "Loud", "Dear", "Kind")),
        group="one",
        name="g",
    )
    settle(bench, *(f"We came {n} times and liked dish {n * n} best of all" for n in range(12)), name="free")
    twin = "The soup of the day was cold and the bread was old and the waiter forgot us"
    settle(bench, twin + ".", name="twin")
    bench.arrive("asked", twin + "!")
    bench.arrive("asked too", "Cheap was the word of the evening", group="one")
    assert bench.freeze("few") == 17
    bench.label("few")
    shown = {asked(body["messages"][-1]): list(map(asked, body["messages"][1:-1:2])) for body in stub.bodies}
    assert len(shown) == 19 and all(len(shots) == 3 for shots in shown.values())
    # the nearest by far would have been its own group, and its own near-duplicate
    assert not any("word of the evening" in shot for shot in shown["Cheap was the word of the evening"])
    assert twin + "." not in shown[twin + "!"]
    assert all(text not in shots for text, shots in shown.items())
