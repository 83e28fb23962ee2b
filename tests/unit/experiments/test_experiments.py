"""Every published row is listed and has a recipe; results are kept with their recipe's hash, and go out of date."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from made_up_results import made_up, row_of

from edge_fm.cli import cli
from edge_fm.experiments import (
    best_pairings,
    experiment_rows,
    find_experiment,
    load_experiments,
    read_result,
    run_experiment,
    stored_results,
    write_result,
)
from edge_fm.experiments.current import current_of, why_changed
from edge_fm.experiments.results import STORED_RESULTS
from edge_fm.models import find_model
from edge_fm.training import DataPart, recipe_hash
from edge_fm_runtime.errors import DataError, RecipeError

# Keras 3.15 does not know the `copy` that NumPy 2 gives to `__array__`; its own `Variable.numpy()` warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

PUBLISHED = {
    "cnn2-dense": [0.9114],
    "cnn3-dropout": [0.9168],
    "convnet5": [0.9090],
    "lenet5": [0.8954],
    "resnet152-v2": [0.8896],
    "vgg19": [0.9076],
    "resnet18": [0.8704],
    "mobilenet-v2": [0.864],
    "cnn3": [0.9017],
    "cnn3-bn": [0.9148],
    "cnn4-bn": [0.9061],
    "resnet50": [0.7443],
    "vgg16": [0.8182],
    "cnn4-l2": [
        *[0.9285, 0.9008, 0.9285, 0.9238, 0.9117, 0.9218, 0.9285],
        *[0.8349, 0.8650, 0.9285, 0.9265, 0.8802, 0.9188, 0.9285, 0.9277],
    ],
}


def test_reports_go_by_what_is_known_of_them() -> None:
    rows = experiment_rows(())
    for row in rows:
        report = row["report"]
        assert row["name"].startswith(f"report-{report['letter'].lower()}-")
        known = row["source"].removeprefix(f"report {report['letter']}, ")
        assert report["name"] == (
            f"{known} (title and year not known)"
            if report["title"] is None
            else f"{report['title']} ({report['year']})"
        )
    text = CliRunner().invoke(cli, ["experiments"]).stdout
    for letter, name in {(row["report"]["letter"], row["report"]["name"]) for row in rows}:
        assert f"  {letter}  {name}" in text


SMALL = {"data.source": "fashion-mnist-mini", "training.epochs": 1}


def test_every_published_row_is_listed_with_its_figure() -> None:
    found: dict[str, list[float]] = {}
    for row in experiment_rows(()):
        if row["variant_of"] is None:
            found.setdefault(row["model"], []).append(row["reported_accuracy"])
    assert {model: sorted(rows) for model, rows in found.items()} == {m: sorted(r) for m, r in PUBLISHED.items()}


@pytest.mark.parametrize("name", [row.name for row in load_experiments()])
def test_the_recipe_is_what_its_name_and_report_say(name: str) -> None:
    experiment = find_experiment(name)
    recipe = experiment.recipe
    assert recipe.name == name and recipe.data.source == "fashion-mnist"
    assert recipe.model.weights == ("imagenet" if find_model(recipe.model.name).backbone else "none")
    if experiment.reported is not None:
        assert f"{100 * experiment.reported:.2f}".rstrip("0") in recipe.description.replace("0% rep", "% rep")
    if "5 classes" in experiment.source:
        assert recipe.data.split == (48000, 6000, 6000) and len(set(recipe.data.relabel.values())) == 5
        part = name.removeprefix("report-a-").removeprefix(recipe.model.name).strip("-")
        kind, _, value = part.rpartition("-")
        expected = {"epochs": 50.0, "batch": 128.0, "rate": 0.001} | (
            {kind: float(value)} if kind in {"epochs", "batch", "rate"} else {}
        )
        assert recipe.training.epochs == expected["epochs"] and recipe.training.batch_size == expected["batch"]
        assert recipe.optimizer.name == ("sgd" if part == "sgd" else "adam")
        assert part == "sgd" or recipe.optimizer.learning_rate == expected["rate"]


def test_kept_results_are_of_recipes_as_they_are() -> None:
    kept = stored_results(STORED_RESULTS)
    assert kept
    for result in kept:
        recipe = find_experiment(result.name).recipe
        again = f"{result.name} is out of date: run it again"
        assert result.recipe_hash == recipe_hash(recipe), again
        if result.in_full:
            assert why_changed(result, current_of(result.name, recipe)) is None, again
    for path in STORED_RESULTS.glob("*.json"):
        assert not re.search(r'": "(/|[A-Z]:)', path.read_text())  # no path of the machine it was run on


def test_rows_that_were_run_are_within_a_point_or_say_why_not() -> None:
    finished = [row for row in experiment_rows(stored_results(STORED_RESULTS)) if row["status"] == "run"]
    assert len(finished) > 10
    for row in finished:
        if row["reported_accuracy"] is not None:
            assert row["difference_points"] >= -1 or "Below the report" in row["note"], row["name"]


def test_a_result_counts_as_long_as_its_recipe_is_the_same() -> None:
    row = row_of("report-a-cnn3", made_up("report-a-cnn3"))
    assert (row["status"], row["achieved_accuracy"], row["difference_points"]) == ("run", 0.91, 0.83)
    row = row_of("report-a-cnn3", made_up("report-a-cnn3", recipe_hash="0" * 64))
    assert (row["status"], row["achieved_accuracy"]) == ("out of date", None)
    assert "has changed since it was run on 2026-01-02" in str(row["note"])
    assert row_of("report-a-cnn3")["status"] == "not run"


def test_a_trial_is_shown_as_one_and_a_weights_file_is_not_a_change() -> None:
    tried = made_up("report-g-vgg19", changes={"model.weights": "none", "training.epochs": 1})
    row = row_of("report-g-vgg19", tried)
    assert (row["status"], row["achieved_accuracy"]) == ("tried", None)
    assert "model.weights none, training.epochs 1" in str(row["note"]) and "stands for nothing" in str(row["note"])
    from_file = made_up(
        "report-g-vgg19", changes={"model.weights": "vgg.h5"}, weights={"file": "vgg.h5", "sha256": "ab" * 32}
    )
    row = row_of("report-g-vgg19", from_file)
    assert (row["status"], row["achieved_accuracy"]) == ("run", 0.91) and "vgg.h5" in str(row["note"])


def test_one_result_serves_every_row_of_the_same_recipe() -> None:
    row = row_of("report-a-cnn4-l2-batch-128", made_up("report-a-cnn4-l2"))
    assert row["achieved_accuracy"] == 0.91 and "The same recipe as report-a-cnn4-l2." in str(row["note"])


def test_a_result_comes_back_from_its_file(tmp_path: Path) -> None:
    result = made_up("report-a-cnn3", changes={"training.epochs": 1}, weights=None)
    assert read_result(write_result(tmp_path, result)) == dataclasses.replace(result, labels=[], confusion=[])
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(DataError, match="is not a result"):
        stored_results(tmp_path)


def test_an_experiment_runs_and_is_read_and_not_trained_again(tmp_path: Path) -> None:
    experiment = find_experiment("report-b-cnn2-dense")
    epochs: list[int] = []
    first, again = (
        run_experiment(experiment, tmp_path, changes=SMALL, on_epoch=lambda epoch, *_: epochs.append(epoch))
        for _ in range(2)
    )
    assert epochs == [1]
    assert dataclasses.replace(first, date="") == dataclasses.replace(again, date="")
    assert first.recipe_hash == recipe_hash(experiment.recipe) and dict(first.changes) == SMALL
    assert first.images == {"learn": 5400, "choose": 600, "test": 1000} and first.accuracy > 0.5
    right = sum(first.confusion[i][i] for i in range(10))
    assert np.sum(first.confusion) == 1000 and right / 1000 == pytest.approx(first.accuracy, abs=1e-4)
    assert len(first.labels) == 10 and set(first.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert first.history["val_accuracy"] == [pytest.approx(first.val_accuracy, abs=1e-4)]
    assert (
        first.structure == current_of(experiment.name, experiment.recipe).structure
    )  # the saved model is the built one
    assert why_changed(dataclasses.replace(first, data={"hash": "0"}), current_of(experiment.name, experiment.recipe))
    other = run_experiment(experiment, tmp_path, changes={**SMALL, "data.samples": 600}, seed=3)
    assert other.seed == 3 and other.recipe_hash == first.recipe_hash and "seed" not in other.changes
    assert len(list(tmp_path.glob("*/metrics.json"))) == 2  # a run of its own


@pytest.mark.needs("tensorflow")
def test_the_command_lists_runs_and_keeps(tmp_path: Path) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(cli, ["experiments", "--out", str(tmp_path), *arguments])
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.output

    listed = json.loads(run("--json"))["experiments"]
    assert len(listed) == len(load_experiments())
    assert {"name", "source", "model", "reported_accuracy", "achieved_accuracy", "seconds", "machine"} <= set(listed[0])
    table = run()
    assert "reported %" in table and "SGD is below Adam by 2.77 points in the report" in table
    edits = [part for key, value in SMALL.items() for part in ("--set", f"{key}={value}")]
    (row,) = json.loads(run("--run", "report-e-lenet5", *edits, "--json"))["experiments"]
    assert (row["status"], row["achieved_accuracy"], row["error"]) == ("tried", None, None)
    assert read_result(tmp_path / "results" / "report-e-lenet5.json").model == "lenet5"
    folder = next(path.parent for path in tmp_path.glob("*/metrics.json"))
    pairs = json.loads(run("--pairings", str(folder), "--json"))
    assert pairs["images"] == 600 and sorted(itertools.chain(*pairs["most"]["pairs"])) == list(range(10))
    assert pairs["most"]["confused"] > pairs["least"]["confused"]
    assert DataPart(relabel=pairs["most"]["relabel"]).relabel["Bag"].count(" + ") == 1
    assert "Did you mean 'report-e-lenet5'" in run("--run", "report-e-lenet", code=1)
    assert "belong to --run" in run("--set", "seed=1", code=2)
    assert "belong to --run" in run("--seeds", "0,1", code=2)
    for seeds, says in (
        ("0,x", "is not a list of seeds"),
        ("1,01", "a seed twice"),
        (str(2**32), "is not a list of seeds"),
    ):
        assert says in run("--run", "report-e-lenet5", "--seeds", seeds, code=2)
    assert "exclude each other" in run("--run", "report-e-lenet5", "--seeds", "1", "--set", "seed=2", code=2)


def every_pairing(labels: list[int]) -> list[list[tuple[int, int]]]:
    if not labels:
        return [[]]
    first, rest = labels[0], labels[1:]
    return [
        [(first, other), *pairs]
        for other in rest
        for pairs in every_pairing([label for label in rest if label != other])
    ]


@pytest.mark.parametrize("seed", range(4))
def test_pairings_are_the_extremes_of_all_that_there_are(seed: int) -> None:
    confusion = np.random.default_rng(seed).integers(0, 50, (8, 8))
    sums = [sum(confusion[a, b] + confusion[b, a] for a, b in pairs) for pairs in every_pairing(list(range(8)))]
    assert len(sums) == 105
    most, least = best_pairings(confusion)
    assert (most.confused, least.confused) == (max(sums), min(sums))
    for pairing in (most, least):
        assert sorted(itertools.chain(*pairing.pairs)) == list(range(8))
        assert sum(confusion[a, b] + confusion[b, a] for a, b in pairing.pairs) == pairing.confused
        new = pairing.relabel([f"class {i}" for i in range(8)])
        assert len(new) == 8 and sorted(Counter(new.values()).values()) == [2, 2, 2, 2]


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (0, 0), (22, 22)])
def test_what_has_no_pairings_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="no pairings"):
        best_pairings(np.zeros(shape, int))


def test_an_unknown_experiment_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="There is no experiment"):
        find_experiment("nothing of the kind")
