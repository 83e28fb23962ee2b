"""What a case is: something made on the fly, and the right result or the words of the error.

Right predictions are those of Keras itself, computed where the model is made; they are compared with what the bare
library (`field.bare`) makes of the exported file, not by the project's own gate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from edge_fm_runtime.errors import EdgeFMError


class Case(Protocol):
    """One input and what is expected of it."""

    @property
    def name(self) -> str:
        """Unique among all cases."""

    def check(self, folder: Path) -> None:
        """Make the input in `folder`, which is empty, and assert what is expected."""


@dataclass(frozen=True, eq=False)
class Model:
    """A third-party model as a file, and what it predicts.

    Attributes:
        path: the file or folder.
        images: uint8 pixels as a person would give them, `[N,H,W,C]`.
        expected: what Keras itself predicts for `images`: probabilities `[N,classes]`.
        labels: int64 `[N]` where the images are labelled.
    """

    path: Path
    images: np.ndarray[Any, Any]
    expected: np.ndarray[Any, Any] | None = None
    labels: np.ndarray[Any, Any] | None = None


@dataclass(frozen=True)
class ModelCase:
    """A third-party model that is exported, or refused.

    Attributes:
        name: of the case.
        make: writes the model into a folder.
        formats: exported to these, in one export.
        precision: of all formats.
        source: keyword arguments of `load_source`.
        static_batch: as `export` takes it.
        notes: patterns, each of which must be found in the notes to a person.
        no_notes: patterns that must not be found there.
        error: the error's message and hint must match this pattern; "" where the export must succeed.
        atol: largest difference of a probability from Keras' own.
    """

    name: str
    make: Callable[[Path], Model]
    formats: tuple[str, ...] = ("onnx",)
    precision: str = "fp32"
    source: Mapping[str, Any] = field(default_factory=dict)
    static_batch: int | None = None
    notes: tuple[str, ...] = ()
    no_notes: tuple[str, ...] = ()
    error: str = ""
    atol: float = 1e-4

    def check(self, folder: Path) -> None:
        """Export the model, and compare the bare library's predictions with Keras'."""
        from field.bare import predict

        model = self.make(folder)
        if self.error:
            with pytest.raises(EdgeFMError) as caught:
                self._export(model, folder / "out")
            _must_match(self.error, _said(caught.value))
            return
        results, notes = self._export(model, folder / "out")
        for pattern in self.notes:
            _must_match(pattern, notes)
        for pattern in self.no_notes:
            assert not re.search(pattern, notes), notes
        assert model.expected is not None
        for result in results:
            predicted = predict(result.path, model.images, batch=self.static_batch)
            assert predicted.shape == model.expected.shape
            np.testing.assert_allclose(predicted, model.expected, atol=self.atol, err_msg=str(result.target))

    def _export(self, model: Model, out: Path) -> tuple[Sequence[Any], str]:
        from exporting import export

        from edge_fm_export.context import EvaluationSet
        from edge_fm_export.sources import load_source
        from edge_fm_export.targets import parse_targets

        source = load_source(model.path, **self.source)
        # Apart from the images that are compared, and of the size that the opened model takes.
        test, calibration = (
            EvaluationSet(name, _noise(source.input.shape, n, seed), None, name)
            for name, n, seed in (("test", 16, 101), ("calibration", 48, 102))
        )
        report = export(
            source,
            parse_targets(self.formats, [self.precision]),
            out,
            test=test,
            calibration=calibration if self.precision == "int8" else None,
            static_batch=self.static_batch,
        )
        notes = [note for result in report.results for note in result.notes] or list(source.notes)
        return report.results, "\n".join(notes)


@dataclass(frozen=True)
class DataCase:
    """A data set that is loaded, or refused.

    Attributes:
        name: of the case.
        make: writes the data into a folder and returns the source as `--data` takes it.
        shape: asked for; None for the source's own.
        labels: expected names of the classes, in order; None to leave them unchecked.
        train: expected number of training images; None to leave it unchecked.
        test: expected number of test images; None to leave it unchecked.
        verify: further assertions about the `Dataset`.
        error: the error's message and hint must match this pattern; "" where loading must succeed.
    """

    name: str
    make: Callable[[Path], Path | str]
    shape: tuple[int, int, int] | None = None
    labels: tuple[str, ...] | None = None
    train: int | None = None
    test: int | None = None
    verify: Callable[[Any], None] | None = None
    error: str = ""

    def check(self, folder: Path) -> None:
        """Load the data and compare classes and counts."""
        from edge_fm.data import load_dataset

        source = str(self.make(folder))
        if self.error:
            with pytest.raises(EdgeFMError) as caught:
                load_dataset(source, shape=self.shape)
            _must_match(self.error, _said(caught.value))
            return
        dataset = load_dataset(source, shape=self.shape)
        assert self.labels is None or dataset.label_names == self.labels
        assert self.train is None or len(dataset.train) == self.train
        assert self.test is None or len(dataset.test) == self.test
        if self.verify is not None:
            self.verify(dataset)


@dataclass(frozen=True)
class PhotoCase:
    """A photo that becomes a canvas, or is refused.

    Attributes:
        name: of the case.
        make: returns what `load_canvas` takes (a path, bytes, a PIL image, an array), and the canvas expected, or
            None where an error is.
        shape: of the canvas.
        mode: as in `PhotoSpec`.
        tolerance: largest difference of a pixel.
        error: the error's message and hint must match this pattern; "" where reading must succeed.
    """

    name: str
    make: Callable[[Path], tuple[Any, np.ndarray[Any, Any] | None]]
    shape: tuple[int, int, int] = (28, 28, 3)
    mode: str = "stretch"
    tolerance: int = 0
    error: str = ""

    def check(self, folder: Path) -> None:
        """Read the photo and compare pixels."""
        from edge_fm_runtime.artifacts.metadata import PhotoSpec
        from edge_fm_runtime.photos.photo import load_canvas

        photo, expected = self.make(folder)
        spec = PhotoSpec(mode=self.mode)  # type: ignore[arg-type]
        if self.error:
            with pytest.raises(EdgeFMError) as caught:
                load_canvas(photo, self.shape, spec)
            _must_match(self.error, _said(caught.value))
            return
        canvas = load_canvas(photo, self.shape, spec)
        assert canvas.shape == self.shape
        assert expected is not None
        assert np.abs(canvas.astype(int) - expected.astype(int)).max() <= self.tolerance


@dataclass(frozen=True)
class CommandCase:
    """A command line and what it prints.

    Attributes:
        name: of the case.
        make: prepares the folder and returns the arguments of `edgefm`.
        exit_code: expected.
        stdout: patterns that must be found.
        stderr: likewise.
        no_stderr: patterns that must not be found.
        verify: further assertions, given the folder and stdout.
    """

    name: str
    make: Callable[[Path], Sequence[str | Path]]
    exit_code: int = 0
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    no_stderr: tuple[str, ...] = ()
    verify: Callable[[Path, str], None] | None = None

    def check(self, folder: Path) -> None:
        """Run the command in this process."""
        from click.testing import CliRunner

        from edge_fm.cli import cli

        result = CliRunner().invoke(cli, [str(argument) for argument in self.make(folder)])
        assert result.exit_code == self.exit_code, result.output
        for patterns, text in ((self.stdout, result.stdout), (self.stderr, result.stderr)):
            for pattern in patterns:
                _must_match(pattern, text)
        for pattern in self.no_stderr:
            assert not re.search(pattern, result.stderr), result.stderr
        if self.verify is not None:
            self.verify(folder, result.stdout)


def _said(error: EdgeFMError) -> str:
    return f"{error}\n{error.hint or ''}"


def _must_match(pattern: str, text: str) -> None:
    assert re.search(pattern, text, re.DOTALL), f"{pattern!r} was not found in:\n{text}"


def _noise(shape: tuple[int, int, int], n: int, seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)
