"""A recipe on photos by people that it never saw: folds by group, and what a threshold does with each fold's photos.

    python -m benchmarks.photos.folds_by_group [RECIPE] --data SOURCE --group COLUMN [--other-things SOURCE]
        [--count-others SOURCE] [--folds N]
        [--leave-out GROUP,...] [--epochs N] [--size HxWxC] [--out DIR]
        [--format onnx,...] [--precision int8,...] [--json]

`edgefm crossval` trains and stores the folds; the same command goes on where it was stopped. SOURCE is a labelled
folder or a manifest, and groups are given as `edgefm crossval --group` takes them, such as index.csv:sender. For each
fold it prints what is right of the photos that the fold held out, in all and balanced over the classes; then, above a
threshold that was selected on the fold's own validation photos as `edgefm export` selects one, how many get a label,
how many of these are right, and how many other things of people that the fold held out get one.

Groups of --leave-out, such as images of another kind that only help to learn, count in no figure; a fold that held out
nothing else is left out.

With --format, each fold's model is exported, too, calibrated on what the fold learned from, and a row for each artifact
says what it is right on and what it lost beside the Keras model, on the same photos that the fold held out.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
FIGURES = ("accuracy", "balanced_accuracy", "labelled", "right_of_labelled", "others_labelled")


def at(threshold: float | None, probabilities: Floats, truth: npt.NDArray[np.int64], others: Floats) -> dict[str, Any]:
    """What a threshold does.

    Args:
        threshold: of the best score; None where none was found: then every photo gets a label.
        probabilities: `[N,classes]` of the photos that were held out.
        truth: `[N]` their labels.
        others: `[M,classes]` of other things.

    Returns:
        Shares, as JSON values; None where there is nothing to count.
    """
    right, given = probabilities.argmax(axis=1) == truth, probabilities.max(axis=1) >= (threshold or 0.0)
    return {
        "n": len(truth),
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean([right[truth == label].mean() for label in np.unique(truth)])),
        "threshold": threshold,
        "labelled": float(given.mean()),
        "right_of_labelled": float(right[given].mean()) if given.any() else None,
        "others": len(others),
        "others_labelled": float((others.max(axis=1) >= (threshold or 0.0)).mean()) if len(others) else None,
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """Each figure over all photos of all folds; balanced accuracy is the folds' mean, weighed by their photos."""
    known = {name: [one for one in rows if one[name] is not None] for name in FIGURES}
    weights = {
        "right_of_labelled": lambda one: one["n"] * one["labelled"],
        "others_labelled": lambda one: one["others"],
    }
    found: dict[str, float | None] = {}
    for name, ones in known.items():
        weight = [weights.get(name, lambda one: one["n"])(one) for one in ones]
        found[name] = sum(w * one[name] for w, one in zip(weight, ones, strict=True)) / sum(weight) if ones else None
    return found


def fold_figures(recipe: Any, part: Any, folder: Path, counted: str) -> dict[str, Any]:
    """The figures of one fold, by its stored model.

    Args:
        recipe: of the fold.
        part: its data; the test split is what it held out.
        folder: its run.
        counted: other things that are counted; empty for those that the threshold is selected by.
    """
    from dataclasses import replace

    from edge_fm.training.input_pipeline.other_things import held_out_other_things
    from edge_fm.training.input_pipeline.recipe_data import training_and_validation
    from edge_fm_export.gate.reference import reference_predictions
    from edge_fm_export.scores.rejection import fit_rejection
    from edge_fm_export.sources import load_source

    source = load_source(folder)
    _, validation = training_and_validation(recipe, part)

    def predictions(split: Any, other_things: str) -> dict[str, Floats]:
        named = replace(recipe, data=replace(recipe.data, other_things=other_things))
        others = held_out_other_things(named, split.groups, part.shape)
        sets = {"": split.images, **others}
        return {name: reference_predictions(source, images) for name, images in sets.items()}

    selected = predictions(validation, recipe.data.other_things)
    rejection = fit_rejection(selected.pop(""), validation.labels, dataset="validation", others=selected)
    held = predictions(part.test, counted or recipe.data.other_things)
    truth, own = part.test.labels, held.pop("")
    others = np.concatenate([*held.values()]) if held else np.zeros((0, own.shape[1]), np.float32)
    return {**at(rejection.threshold, own, truth, others), "reason": rejection.reason}


def artifact_figures(recipe: Any, part: Any, folder: Path, formats: list[str], precisions: list[str]) -> dict[str, Any]:
    """Export a fold's model; what each artifact is right on, of the photos that the fold held out, by its target."""
    import edge_fm
    from edge_fm_export.engines import REFERENCE_ENGINES
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.engines import ENGINES, create_engine

    photos = Path(recipe.data.source).resolve().parent
    manifest = folder / "photos.csv"
    with manifest.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "label", "split"])
        for name, split in (("train", part.train), ("test", part.test)):
            rows.writerows(
                (photos / file, part.label_names[i], name) for file, i in zip(split.files, split.labels, strict=True)
            )
    options = edge_fm.ExportOptions(data=str(manifest), group="none", label_column="label", force=True)
    report = edge_fm.export(folder, formats, precisions, out=folder / "export", options=options, strict=False)
    found: dict[str, Any] = {
        str(one.target): {"failed": one.parity and one.parity.to_json()} for one in report.failures
    }
    for result in report.results:
        engine = create_engine(load_artifact(result.path), registry={**ENGINES, **REFERENCE_ENGINES})
        held = engine.predict_all(np.asarray(part.test.images[:]), batch=32)
        engine.close()
        figures = at(None, held, part.test.labels, np.zeros((0, held.shape[1]), np.float32))
        found[str(result.target)] = {
            **figures,
            "drop_points": result.parity.drop_points,
            "agreement": result.parity.top1_agreement,
        }
    return found


def print_artifacts(rows: list[dict[str, Any]]) -> None:
    """A row for each target: over all photos of all folds, and the folds' own drops."""
    print(f"{'artifact':>16} {'right':>8} {'balanced':>9} {'drop':>6} {'agree':>7}  drop of each fold, in points")
    for target in rows[0]:
        ones = [row[target] for row in rows if "accuracy" in row[target]]
        if len(ones) < len(rows):
            print(f"{target:>16} was not written in {len(rows) - len(ones)} of {len(rows)} folds")
        if not ones:
            continue
        weight = np.array([one["n"] for one in ones], np.float64) / sum(one["n"] for one in ones)
        mean = {
            key: float(np.dot(weight, [one[key] for one in ones])) for key in ("accuracy", "drop_points", "agreement")
        }
        balanced = float(np.dot(weight, [one["balanced_accuracy"] for one in ones]))
        drops = " ".join(f"{one['drop_points']:+.2f}" for one in ones)
        print(
            f"{target:>16} {mean['accuracy']:>8.1%} {balanced:>9.1%} {mean['drop_points']:>+6.2f} "
            f"{mean['agreement']:>7.1%}  {drops}"
        )


def line(name: str, figures: dict[str, Any]) -> str:
    shown = ["-" if figures[key] is None else f"{figures[key]:.1%}" for key in FIGURES]
    return f"{name:>6} " + " ".join(f"{text:>10}" for text in shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", help="name or file; default: the usual one for the data")
    parser.add_argument("--data", help="labelled photos; default: the recipe's")
    parser.add_argument("--group", help="what folds keep together; default: the recipe's")
    parser.add_argument("--other-things", default="", help="folder or manifest of photos of other things")
    parser.add_argument("--count-others", default="", help="other things that are counted; default: all of them")
    parser.add_argument("--leave-out", default="", help="groups that count in no figure, comma-separated")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--size", help="HEIGHTxWIDTHxCHANNELS")
    parser.add_argument("--out", type=Path, help="folder of the runs; default: runs/crossval-RECIPE")
    parser.add_argument("--format", help="also export each fold's model: onnx, openvino, litert, comma-separated")
    parser.add_argument("--precision", default="int8", help="precisions of these, comma-separated; default: int8")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    from dataclasses import replace

    from edge_fm.api.studies.crossval import crossval
    from edge_fm.training.input_pipeline.recipe_data import load_recipe_data
    from edge_fm.training.recipe.file import load_recipe
    from edge_fm.training.search.crossval_folds import assign_folds, fold_dataset

    given: dict[str, Any] = {"data": options.data, "group": options.group, "epochs": options.epochs, "out": options.out}
    if options.size:
        given["size"] = tuple(int(side) for side in options.size.split("x"))
    result = crossval(options.recipe, folds=options.folds, note=lambda text: print(text, file=sys.stderr), **given)
    runs = [Path(score.run) for score in result.scores]
    recipe = load_recipe(runs[0] / "recipe.toml")
    if options.other_things:
        recipe = replace(recipe, data=replace(recipe.data, other_things=options.other_things))
    dataset = load_recipe_data(recipe)
    assigned = assign_folds(dataset.train, folds=options.folds, seed=recipe.seed)
    parts, measured = [], []
    for fold, run in enumerate(runs):
        part = fold_dataset(dataset, assigned, fold)
        kept = [i for i, group in enumerate(part.test.groups) if group not in options.leave_out.split(",")]
        if kept:
            parts.append(replace(part, test=part.test.take(np.array(kept))))
            measured.append(run)
        else:
            print(f"fold {fold + 1} held out {', '.join(set(part.test.groups))} alone: left out", file=sys.stderr)
    runs = measured
    rows = [fold_figures(recipe, part, run, options.count_others) for part, run in zip(parts, runs, strict=True)]
    every = summary(rows)
    artifacts: list[dict[str, Any]] = []
    if options.format:
        asked = options.format.split(","), options.precision.split(",")
        artifacts = [artifact_figures(recipe, part, run, *asked) for part, run in zip(parts, runs, strict=True)]
    if options.json:
        print(json.dumps({"recipe": result.recipe, "folds": rows, "all": every, "artifacts": artifacts}, indent=2))
        return
    print(f"{'fold':>6} {'right':>10} {'balanced':>10} {'labelled':>10} {'of these':>10} {'others':>10}")
    for number, one in enumerate(rows, start=1):
        print(line(str(number), one))
    print(line("all", every))
    for number, one in enumerate(rows, start=1):
        if one["threshold"] is None:
            print(f"fold {number} has no threshold, and all its photos count as labelled: {one['reason']}")
    if artifacts:
        print_artifacts(artifacts)


if __name__ == "__main__":
    main()
