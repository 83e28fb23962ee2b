"""How often `edgefm drift` says "changed": where nothing has changed, and after changes of several kinds.

    python -m benchmarks.artifacts.drift [--run RUN] [--data SOURCE] [--held-back LABEL] [--recipe NAME|FILE]
        [--epochs N] [--set KEY=VALUE] [--format FORMAT] [--precision PRECISION] [--photos N] [--pairs N] [--repeats N]

Trains a model on all classes of the source but one (or takes a run that was), exports it with embeddings, so that the
artifact records its validation images, and compares samples of the test split with these:

- samples of the classes that the model knows, 200 times: each "changed" is a false alarm;
- the same, blurred, darkened, with the grey levels or colours of another camera, or without one of the classes (each in
  turn), 100 times each;
- samples of all classes, the one that was held back in its own share among them, 100 times, with embeddings and
  without.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Images = npt.NDArray[np.uint8]


def blurred(images: Images) -> Images:
    """Gaussian blur, of a standard deviation of 1/28 of the width."""
    radius = images.shape[2] / 28
    out = np.empty_like(images)
    for image, place in zip(images, out, strict=True):
        for channel in range(images.shape[3]):
            place[..., channel] = Image.fromarray(image[..., channel]).filter(ImageFilter.GaussianBlur(radius))
    return out


def gamma(images: Images, exponent: float) -> Images:
    """Other grey levels: values 0..1 to the power of `exponent`."""
    levels = np.round(255 * (np.arange(256) / 255) ** exponent).astype(np.uint8)
    return levels[images]


def warmer(images: Images) -> Images:
    """Another white balance: red 10% stronger, blue 10% weaker."""
    warm: Images = np.clip(np.round(images * np.array([1.1, 1.0, 0.9])), 0, 255).astype(np.uint8)
    return warm


def changes(channels: int) -> dict[str, Callable[[Images], Images]]:
    """The changes that are made to images, by name."""
    colours: dict[str, Callable[[Images], Images]] = (
        {"white balance, red +10%, blue -10%": warmer} if channels == 3 else {}
    )
    return {
        "blur": blurred,
        "darkness, half the light": lambda images: (images // 2).astype(np.uint8),
        "another camera, gamma 1.4": lambda images: gamma(images, 1.4),
        "another camera, gamma 1.25": lambda images: gamma(images, 1.25),
        **(colours if channels == 3 else {}),
    }


class Source:
    """Images as an artifact sees them, from which samples are drawn."""

    def __init__(self, artifact: Path, images: Images) -> None:
        from edge_fm.api.common.engines import ALL_ENGINES
        from edge_fm_runtime import create_engine, load_artifact
        from edge_fm_runtime.drift.observation import joined, observe

        opened = load_artifact(artifact)
        engine = create_engine(opened, registry=ALL_ENGINES)
        try:
            self.seen = joined(list(observe(engine, opened, images, batch=64)))
        finally:
            engine.close()

    def sample(self, rows: npt.NDArray[np.int64]) -> Any:
        """The observation of these images."""
        seen = self.seen
        return replace(
            seen,
            classes=None if seen.classes is None else seen.classes[rows],
            statistics={name: values[rows] for name, values in seen.statistics.items()},
            vectors={name: values[rows] for name, values in seen.vectors.items()},
        )


def measure(artifact: Path, source: str, held_back: str, given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each kind of change."""
    from edge_fm.data import load_dataset
    from edge_fm_runtime import load_artifact
    from edge_fm_runtime.drift.comparison import compare
    from edge_fm_runtime.drift.reference import load_reference

    opened = load_artifact(artifact)
    reference, labels = load_reference(opened), opened.metadata.labels
    data = load_dataset(source, shape=opened.metadata.input.shape, photo=opened.metadata.photo)
    new = list(data.label_names).index(held_back)
    images, classes = np.asarray(data.test.images), data.test.labels
    known = np.flatnonzero(classes != new)
    every = Source(artifact, images)
    random = np.random.default_rng(given.seed)

    def row(name: str, draw: Callable[[int], Any], times: int, against: Any = reference) -> dict[str, Any]:
        fired: dict[str, int] = {}
        changed = 0
        for number in range(times):
            tests = compare(against, draw(number), labels)
            changed += any(test.changed for test in tests)
            for test in tests:
                fired[test.name] = fired.get(test.name, 0) + test.changed
        return {"change": name, "changed": changed, "of": times, "tests": {k: v for k, v in fired.items() if v}}

    def drawn(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        one: npt.NDArray[np.int64] = random.choice(rows, given.photos, replace=False)
        return one

    yield row("none: false alarms", lambda _: every.sample(drawn(known)), given.pairs)
    for name, change in changes(images.shape[3]).items():
        source_of = Source(artifact, change(images))

        def sample(_: int, source_of: Source = source_of) -> Any:
            return source_of.sample(drawn(known))

        yield row(name, sample, given.repeats)
    there = [number for number in np.unique(classes) if number != new]
    yield row(
        "a class is missing",
        lambda number: every.sample(drawn(known[classes[known] != there[number % len(there)]])),
        given.repeats,
    )
    without = replace(reference, spaces={name: s for name, s in reference.spaces.items() if name != "embedding"})
    rows = np.arange(len(images))
    yield row(f"a new class, {held_back}", lambda _: every.sample(drawn(rows)), given.repeats)
    yield row(f"a new class, {held_back}; no embeddings", lambda _: every.sample(drawn(rows)), given.repeats, without)


def trained(given: argparse.Namespace, out: Path) -> Path:
    """A run that has not seen the class that is held back."""
    import edge_fm
    from edge_fm.data import load_dataset

    names = [name for name in load_dataset(given.data).label_names if name != given.held_back]
    settings: dict[str, Any] = {"data.classes": names}
    for setting in given.settings or []:
        key, _, value = setting.partition("=")
        settings[key] = json.loads(value)
    options = edge_fm.TrainOptions(epochs=given.epochs, settings=settings)
    edge_fm.train(given.recipe, given.data, out, options=options)
    return out


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run that has not seen the class that is held back")
    parser.add_argument("--data", default="fashion-mnist", metavar="SOURCE")
    parser.add_argument("--held-back", default="Sneaker", metavar="LABEL")
    parser.add_argument("--recipe", default="edgenet-s")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--set", action="append", dest="settings", metavar="KEY=VALUE", help="value as JSON")
    parser.add_argument("--format", default="onnx")
    parser.add_argument("--precision", action="append", dest="precisions")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    import edge_fm

    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        run = given.run or trained(given, Path(folder) / "run")
        options = edge_fm.ExportOptions(outputs=["embedding"])
        report = edge_fm.export(
            run, [given.format], given.precisions or ["fp32"], out=Path(folder) / "export", options=options
        )
        for result in report.results:
            name = result.path.name
            if not given.json:
                size = (result.path / "drift.npz").stat().st_size
                print(f"{name}: {given.photos} test images, {size / 1024:.0f} KiB of reference")
            found[name] = []
            for row in measure(result.path, given.data, given.held_back, given):
                found[name].append(row)
                if not given.json:
                    tests = ", ".join(f"{test} {count}" for test, count in row["tests"].items())
                    print(f"  {row['change']:38} changed {row['changed']:3} of {row['of']}   {tests}", flush=True)
    if given.json:
        print(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
