"""Several seeds stand as median and spread; what was kept before recipe, model or data changed is out of date."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_up_results import made_up, row_of

from edge_fm.cli import cli
from edge_fm.data import fashion_mnist
from edge_fm.experiments import (
    Result,
    current,
    experiment_rows,
    load_experiments,
    rows_due,
    stored_results,
    studies_of,
    write_result,
)
from edge_fm.experiments.page import write_page
from edge_fm.experiments.structure import structure_hash
from edge_fm.models import build_model
from edge_fm_runtime.errors import EdgeFMError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

NAME = "report-a-cnn3"  # 90.17% reported


def seeds(*accuracies: float, name: str = NAME) -> list[Result]:
    return [made_up(name, accuracy=value, seed=seed, seconds=10.0 + seed) for seed, value in enumerate(accuracies)]


def test_the_median_and_the_spread_of_seeds_stand_beside_the_report() -> None:
    row = row_of(NAME, *seeds(0.9100, 0.9000, 0.9050))
    assert row["achieved_accuracy"] == 0.905 and row["spread_points"] == 1.0 and row["difference_points"] == 0.33
    assert row["within_spread"] is True and row["seed"] == 2 and row["seconds"] == 12.0
    assert [(one["seed"], one["accuracy"]) for one in row["seeds"]] == [(0, 0.91), (1, 0.9), (2, 0.905)]
    assert row_of(NAME, *seeds(0.9300, 0.9310, 0.9305))["within_spread"] is False
    assert row_of(NAME, *seeds(0.91, 0.92))["achieved_accuracy"] == pytest.approx(0.915)
    one = row_of(NAME, *seeds(0.91))
    assert (one["spread_points"], one["within_spread"], len(one["seeds"])) == (None, None, 1)


def test_a_run_in_another_precision_counts_where_there_is_no_other_and_is_said(tmp_path: Path) -> None:
    faster = {"training.precision": "mixed_bfloat16"}
    for seed, accuracy in enumerate((0.91, 0.92)):
        write_result(tmp_path, made_up(NAME, accuracy=accuracy, seed=seed, changes=faster))
    write_result(tmp_path, made_up(NAME, accuracy=0.93))
    ends = ("-mixed-bfloat16", "-seed-1-mixed-bfloat16", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{NAME}{end}.json" for end in ends)
    row = row_of(NAME, *stored_results(tmp_path))
    assert row["status"] == "run"
    assert [(one["accuracy"], one["precision"]) for one in row["seeds"]] == [(0.93, None), (0.92, "mixed_bfloat16")]
    compared = f"91.00% beside 93.00% ({NAME}, seed 0)"
    assert (
        f"Seed 1: Trained in mixed_bfloat16 in place of the recipe's own, which it was compared with: {compared}."
        in (row["note"])
    )
    alone = row_of(NAME, made_up(NAME, accuracy=0.91, changes=faster))
    assert alone["status"] == "run" and "which it was not compared with." in alone["note"]
    both = row_of(NAME, made_up(NAME, accuracy=0.91, changes=faster | {"training.epochs": 1}))
    assert both["status"] == "tried"


def test_precision_belongs_to_a_run() -> None:
    for arguments in (
        ["--precision", "mixed_bfloat16"],
        ["--run", NAME, "--precision", "float32", "--set", "training.precision=float32"],
    ):
        result = CliRunner().invoke(cli, ["experiments", *arguments])
        assert result.exit_code == 2 and "--precision" in result.stderr


def test_results_of_seeds_are_kept_beside_each_other_and_a_trial_replaces_none(tmp_path: Path) -> None:
    for result in seeds(0.91, 0.92):
        write_result(tmp_path, result)
    trial = made_up(NAME, accuracy=0.1, changes={"training.epochs": 1})
    write_result(tmp_path, trial)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{NAME}{end}.json" for end in ("-seed-1", "-trial", "")
    ]
    assert row_of(NAME, *stored_results(tmp_path))["achieved_accuracy"] == pytest.approx(0.915)
    again = made_up(NAME, accuracy=0.93)  # the same seed, run once more
    assert row_of(NAME, *stored_results(tmp_path), again)["achieved_accuracy"] == pytest.approx(0.925)


def test_what_is_due_is_run_once_for_each_recipe_and_seed() -> None:
    rows = experiment_rows(seeds(0.91, 0.92) + seeds(0.92, name="report-a-cnn4-l2"))
    due = rows_due(rows, (0, 1))
    names = {name for name, _ in due}
    assert (NAME, 0) not in due and (NAME, 1) not in due
    assert ("report-a-cnn4-l2", 0) not in due and ("report-a-cnn4-l2", 1) in due
    assert "report-a-cnn4-l2-adam" not in names and ("report-a-cnn4-l2-sgd", 0) in due
    assert ("report-a-cnn4-l2-sgd", None) in rows_due(rows, ()) and (NAME, None) not in rows_due(rows, ())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"recipe_hash": "0" * 64}, "The recipe has changed"),
        ({"structure": "0" * 64}, "The model's layers have changed"),
        ({"params": 1}, "The model's layers have changed"),
        ({"data": {"name": "d", "hash": "0" * 64}}, "The data has changed"),
    ],
)
def test_a_result_of_another_recipe_model_or_data_is_out_of_date(changes: dict[str, object], says: str) -> None:
    row = row_of(NAME, made_up(NAME, **changes))
    assert (row["status"], row["achieved_accuracy"], row["seeds"]) == ("out of date", None, [])
    assert f"{says} since it was run on 2026-01-02." in str(row["note"])
    fresh = row_of(NAME, made_up(NAME, **changes), made_up(NAME))
    assert (fresh["status"], fresh["achieved_accuracy"]) == ("run", 0.91)


@pytest.mark.needs("tensorflow", "jinja2", "matplotlib")
def test_changed_code_of_a_model_is_noticed_though_nobody_recorded_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = current.current_of(NAME, next(row for row in load_experiments() if row.name == NAME).recipe)
    kept, same = made_up(NAME, structure=now.structure), made_up("report-b-cnn2-dense")
    assert row_of(NAME, kept)["status"] == "run"
    real = build_model

    def with_another_network(name: str, **options: object) -> object:
        return real("cnn3-dropout" if name == "cnn3" else name, **options)  # what an edited cnn.py would build

    monkeypatch.setattr("edge_fm.models.build_model", with_another_network)
    monkeypatch.setattr(current, "_code_hash", lambda modules: "what edited code hashes to")
    monkeypatch.setattr(current, "_fashion_mnist", lambda: None)  # and no data here to look at
    current._built.cache_clear()
    try:
        row = row_of(NAME, kept)
        other = row_of("report-b-cnn2-dense", same)
    finally:
        current._built.cache_clear()
    assert row["status"] == "out of date" and "The model's layers have changed" in str(row["note"])
    assert other["status"] == "run"


@pytest.mark.needs("tensorflow", "jinja2", "matplotlib")
def test_the_recorded_networks_and_data_are_those_of_the_code() -> None:
    recorded = json.loads(current.FILE.read_text("utf-8"))
    rows = load_experiments()
    again = "run: python tools/record_experiments.py"
    assert list(recorded["experiments"]) == [row.name for row in rows], again
    for row in rows:
        if row.recipe.model.weights != "imagenet":  # large ones take long to build; their code is hashed below
            entry = recorded["experiments"][row.name]
            assert current._network(row.recipe) == (entry["structure"], entry["params"]), again
    for kind, modules in (("models", current._MODEL_CODE), ("data", current._DATA_CODE)):
        assert recorded["code"][kind] == current._code_hash(modules), again


def test_the_recorded_data_is_what_is_loaded() -> None:
    try:
        fashion_mnist.load(sources=())
    except EdgeFMError:
        pytest.skip("Fashion-MNIST is not on this machine")
    recorded = json.loads(current.FILE.read_text("utf-8"))["experiments"]
    for name in ("report-b-cnn2-dense", NAME, "report-i-mobilenet-v2"):
        recipe = next(row.recipe for row in load_experiments() if row.name == name)
        assert current._data(recipe) == recorded[name]["data"]


def test_comments_docstrings_and_layout_change_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_models"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    hashes = []
    for code in (
        'def f(x):\n    """Old."""\n    return x + 1\n',
        'def f(x):\n    """New."""\n    # why\n    return (x +\n        1)\n',
        "def f(x):\n    return x + 2\n",
    ):
        (package / "net.py").write_text(code)
        current._code_hash.cache_clear()
        hashes.append(current._code_hash(("some_models.net",)))
    current._code_hash.cache_clear()
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.needs("tensorflow")
def test_a_structure_is_that_of_the_layers_not_of_their_names_or_weights(tmp_path: Path) -> None:
    import keras

    def model(units: int = 4, activation: str = "relu", l2: float = 0.1, name: str = "a") -> object:
        image = keras.Input((5,), name=f"{name}_image")
        layer = keras.layers.Dense(units, activation, kernel_regularizer=keras.regularizers.L2(l2), name=name)
        return keras.Model(image, layer(image))

    first = structure_hash(model())
    assert structure_hash(model(name="b")) == first
    kept = model()
    kept.save(tmp_path / "m.keras")  # type: ignore[attr-defined]
    assert structure_hash(keras.models.load_model(tmp_path / "m.keras")) == first
    others = [structure_hash(model(**change)) for change in ({"units": 5}, {"activation": "gelu"}, {"l2": 0.2})]
    assert len({first, *others}) == 4


def test_studies_say_what_the_report_found_and_what_is_found_here() -> None:
    def finding(study: str, *results: object) -> str:
        return next(one.finding for one in studies_of(experiment_rows(results)) if one.name == study)

    assert finding("optimizer") == "SGD is below Adam by 2.77 points in the report; not run here: Adam, SGD."
    adam, sgd = "report-a-cnn4-l2-adam", "report-a-cnn4-l2-sgd"
    assert finding("epochs", made_up("report-a-cnn4-l2-epochs-10", accuracy=0.922)) == (
        "10 epochs are below 50 epochs by 4.83 points in the report; here: 10 epochs 92.20%; "
        "not run here: 30 epochs, 50 epochs, 70 epochs."
    )
    both = made_up(adam, accuracy=0.93), made_up(sgd, accuracy=0.90)
    assert finding("optimizer", *both) == "SGD is below Adam by 2.77 points in the report, by 3.00 here."
    above = made_up(adam, accuracy=0.90), made_up(sgd, accuracy=0.91)
    assert finding("optimizer", *above).endswith("in the report, above by 1.00 here.")
    near = (*seeds(0.90, 0.93, name=adam), made_up(sgd, accuracy=0.91))
    assert "by 0.50 here, no more than seeds differ (3.00 points)" in finding("optimizer", *near)
    every = [made_up(f"report-a-cnn4-l2-batch-{n}", accuracy=a) for n, a in ((16, 0.94), (32, 0.93), (64, 0.92))]
    text = finding("batch size", *every, both[0])
    assert text.endswith("best here: batch size 16 (94.00%), worst: batch size 64 (92.00%).")


@pytest.mark.needs("tensorflow", "jinja2", "matplotlib")
def test_the_page_shows_every_row_and_what_is_known_of_it(tmp_path: Path) -> None:
    kept = [
        *seeds(0.91, 0.92, 0.93, name="report-a-cnn4-l2"),
        made_up(NAME, labels=["<a>", "b"], confusion=[[41, 2], [3, 57]], history={"loss": [1.0, 0.5]}),
        *seeds(0.92, 0.90, 0.91, name="report-d-convnet5"),
        made_up("report-g-vgg19", changes={"training.epochs": 1}),
        made_up("report-b-cnn2-dense", recipe_hash="0" * 64),
    ]
    rows = experiment_rows(kept)
    page = write_page(tmp_path, rows, studies_of(rows), kept, runs=tmp_path).read_text("utf-8")
    for row in load_experiments():
        assert row.name in page
    for part in ("not run", "tried", "out of date", "(ours)", "2.00", "0, 1, 2", "&lt;a&gt;", ">57</td>"):
        assert part in page, part
    assert "Accuracy by optimizer. SGD is below Adam by 2.77 points in the report; here: Adam 92.00%; " in page
    within = [row for row in rows if row["within_spread"]]
    assert len(within) == 6 == len(re.findall(r">~ [+-]\d\.\d\d<", page)) and "~ +0.10<" in page  # 90.90% reported
    assert "edgefm experiments --run report-g-vgg19 downloads them" in page
    assert page.count("Pairs of classes were merged") == 1  # said once for the report, not for each of its rows
    assert "http" not in page and page.count("<svg") >= 5  # four studies and a run's curves


@pytest.mark.needs("tensorflow", "jinja2", "matplotlib")
def test_the_command_writes_the_page(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["experiments", "--out", str(tmp_path), "--report", str(tmp_path / "page")])
    assert result.exit_code == 0 and "experiments.html" in result.stderr
    assert "Written by edgefm experiments --report" in (tmp_path / "page" / "experiments.html").read_text("utf-8")
