"""Train a recipe of the package with several seeds, export the median one, and keep what it reached.

    python tools/record_family.py RECIPE... [--seeds 0 1 2] [--out runs/family]

Each run is DIR/RECIPE-SEED; the same command goes on where it was stopped. Several processes may share the trainings
(`--seeds 1 --train-only`). The record of RECIPE's model is written to edge_fm/models/kept/MODEL/, where `edgefm models`
finds it, beside the run of the median seed and the history of each; the test split is read once a seed, after training,
and chooses nothing but that seed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np

from edge_fm.experiments.run import machine_name
from edge_fm.models import records
from edge_fm.models.records import RECORD_FILE, Exported, Record, Seed
from edge_fm.training import Recipe, load_recipe, recipe_hash
from edge_fm.training.kept_run import kept_run
from edge_fm.training.recipe_data import load_recipe_data
from edge_fm.training.run_folder import HISTORY_FILE, METRICS_FILE, MODEL_FILE, RECIPE_FILE, write_json
from edge_fm_runtime.artifact import load_artifact
from edge_fm_runtime.engines import EngineOptions, create_engine
from edge_fm_runtime.latency import measure
from edge_fm_runtime.machine import describe_machine

FORMATS, PRECISIONS = {"onnx": "onnxruntime", "openvino": "openvino"}, ("fp32", "int8")
_LATENCY_S = 3.0


def train_seed(recipe: Recipe, seed: int, out: Path) -> tuple[Path, Seed, dict[str, dict[str, str]]]:
    """Train, or read what is trained; the run's folder, its figures, and the data and versions that it notes."""
    recipe = replace(recipe, seed=seed)
    run = out / f"{recipe.name}-{seed}"
    metrics = kept_run(
        recipe,
        load_recipe_data(recipe),
        run,
        test=True,
        on_epoch=lambda epoch, epochs, row: print(
            f"{run.name}: {epoch} of {epochs}: {dict(row)}", file=sys.stderr, flush=True
        ),
    )
    figures = Seed(seed, metrics["test_accuracy"], metrics["val_accuracy"], metrics["seconds"])
    data = {key: metrics["data"][key] for key in ("name", "hash")}
    return run, figures, {"data": data, "versions": metrics["versions"]}


def export_run(run: Path) -> tuple[Exported, ...]:
    """Export a run, and time one image on every artifact in turn."""
    command = [sys.executable, "-m", "edge_fm", "export", str(run), "--json", "--quiet", "--force"]
    command += [word for name in FORMATS for word in ("--format", name)]
    command += [word for name in PRECISIONS for word in ("--precision", name)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows = json.loads(done.stdout)
    opened = {
        row["artifact"]: create_engine(
            load_artifact(row["artifact"]), FORMATS[row["format"]], options=EngineOptions(batch=1)
        )
        for row in rows
    }
    pixels = np.zeros((1, *load_artifact(rows[0]["artifact"]).metadata.input.shape), np.uint8)
    timed = measure(
        {name: partial(engine.infer, pixels) for name, engine in opened.items()}, duration_s=_LATENCY_S, min_samples=64
    )
    for engine in opened.values():
        engine.close()
    return tuple(
        Exported(
            format=row["format"],
            precision=row["precision"],
            bytes=row["bytes"],
            accuracy=row["parity"]["accuracy"],
            drop_points=row["parity"]["drop_points"],
            p50_ms=round(timed[row["artifact"]].p50_ms, 4),
        )
        for row in rows
    )


def keep(record: Record, run: Path, runs: Mapping[int, Path]) -> Path:
    """Write a record, the run of the median seed and each seed's history; returns the folder."""
    folder = records.KEPT / record.model
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in (MODEL_FILE, METRICS_FILE, RECIPE_FILE):
        shutil.copyfile(run / name, folder / name)
    for seed, path in runs.items():
        shutil.copyfile(path / HISTORY_FILE, folder / f"history-{seed}.csv")
    write_json(folder / RECORD_FILE, record.to_json())
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+", metavar="RECIPE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/family"))
    parser.add_argument("--train-only", action="store_true", help="no exports, no record")
    given = parser.parse_args()
    for name in given.recipes:
        recipe = load_recipe(name)
        trained = [train_seed(recipe, seed, given.out) for seed in given.seeds]
        median = statistics.median_low(seed.accuracy for _, seed, _ in trained)
        print(f"{name}: {', '.join(f'{seed.accuracy:.4f}' for _, seed, _ in trained)}, median {median:.4f}")
        if given.train_only:
            continue
        run, _, notes = next(entry for entry in trained if entry[1].accuracy == median)
        machine = describe_machine()
        record = Record(
            model=recipe.model.name,
            recipe=name,
            recipe_hash=recipe_hash(recipe),
            seeds=tuple(seed for _, seed, _ in trained),
            exports=export_run(run),
            machine={"training": machine_name(), "latency": f"{machine['cpu']}, {machine['threads']} threads"},
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            **notes,
        )
        print(f"  kept in {keep(record, run, {seed.seed: path for path, seed, _ in trained})}")
        for exported in record.exports:
            print(f"  {exported}")


if __name__ == "__main__":
    main()
