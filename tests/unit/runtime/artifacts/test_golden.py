"""Golden predictions: what is refused before it is read."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_fm_runtime.artifacts.golden import Golden, load_golden, save_golden
from edge_fm_runtime.errors import ArtifactError


def test_golden_never_unpickles(tmp_path: Path) -> None:
    file = tmp_path / "golden.npz"
    hostile = np.array([{"a": 1}], dtype=object)
    np.savez(file, images=hostile, reference=hostile, exported=hostile)
    with pytest.raises(ArtifactError, match="no golden predictions"):
        load_golden(file)


def test_golden_members_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "golden.npz"
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("images", "reference", "exported"):
            archive.writestr(f"{name}.npy", b"no array")
    with pytest.raises(ArtifactError, match="holds no golden predictions"):
        load_golden(file)


def test_golden_bytes_do_not_depend_on_the_time(make_artifact: Callable[..., Path]) -> None:
    first, second = make_artifact("a"), make_artifact("b")
    assert (first / "golden.npz").read_bytes() == (second / "golden.npz").read_bytes()


def test_golden_predictions_with_broken_compression_are_an_artifact_error(artifact_folder: Path) -> None:
    from edge_fm_runtime.artifacts.golden import load_golden

    path = artifact_folder / "golden.npz"
    whole = path.read_bytes()
    for at in range(40, len(whole), 7):  # every part of the archive: headers, compressed bytes, directory
        data = bytearray(whole)
        data[at] ^= 0x5A
        path.write_bytes(data)
        with contextlib.suppress(ArtifactError):  # any other error fails
            load_golden(path)


@pytest.mark.parametrize("member", ["images", "reference"])
def test_golden_arrays_that_claim_more_than_they_hold_are_refused(artifact_folder: Path, member: str) -> None:
    file = artifact_folder / "golden.npz"
    with np.load(file) as data:
        arrays = dict(data)
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as stream:
                shape = (1 << 40, *array.shape[1:]) if name == member else array.shape
                header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(stream, header)
                stream.write(array.tobytes())
    with pytest.raises(ArtifactError, match=f"{member}.npy claims shape"):
        load_golden(file)


def test_more_golden_images_than_are_ever_written_are_refused(tmp_path: Path) -> None:
    images = np.zeros((5000, 1, 1, 1), np.uint8)
    predictions = np.full((5000, 2), 0.5, np.float32)
    save_golden(Golden(images, predictions, predictions), tmp_path / "golden.npz")
    with pytest.raises(ArtifactError, match="5000 images; at most 4096"):
        load_golden(tmp_path / "golden.npz")
