"""Pickles of arrays are read as NumPy reads them; anything else is refused before it runs."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fm.data import load_dataset
from edge_fm.data.readers.array_pickle import load_arrays
from edge_fm_runtime.errors import DataError


def published(n: int = 20) -> dict[str, np.ndarray]:
    """As the published file: `features` in 0..1, `target` from 1."""
    rng = np.random.default_rng(0)
    features = rng.integers(0, 256, (n, 784)).astype(np.float32) / np.float32(255)
    features[0, 0] = 1
    return {"features": features, "target": np.arange(n) % 5 + 1}


def test_the_published_file_is_read(tmp_path: Path) -> None:
    content = published()
    np.save(tmp_path / "a.npy", content)
    dataset = load_dataset(str(tmp_path / "a.npy"))
    assert dataset.shape == (28, 28, 1) and dataset.label_names == ("1", "2", "3", "4", "5")
    assert dataset.notes["relabelled"] == {str(n + 1): n for n in range(5)}
    pixels = np.concatenate([dataset.train.images, dataset.test.images]).reshape(-1, 784)
    original = np.rint(content["features"] * 255).astype(np.uint8)
    assert {row.tobytes() for row in pixels} == {row.tobytes() for row in original}


# From protocol 4 on, names carry their length: see the file written by NumPy 1 below.
@pytest.mark.parametrize(
    ("package", "protocol"), [*(("numpy._core", p) for p in range(6)), *(("numpy.core", p) for p in range(4))]
)
@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f4", ">f8", "f2", "?", "U7", "S3"])
def test_arrays_come_back_from_each_protocol_and_numpy(protocol: int, package: str, dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype)
    content = pickle.dumps({"c": array, "f": np.asfortranarray(array), "scalar": array[0, 1]}, protocol)
    content = content.replace(b"numpy._core", package.encode())
    read = load_arrays(io.BytesIO(content), where="a.npy")
    for key in ("c", "f"):
        np.testing.assert_array_equal(read[key], array)
        assert read[key].dtype == array.dtype
    assert read["scalar"] == array[0, 1]


def test_a_file_written_by_numpy_1_is_read(tmp_path: Path) -> None:
    # NumPy 1 wrote protocol 3 or 4 and the module path numpy.core; in protocol 4 names carry their length.
    content = pickle.dumps(published(), 4)
    for name in (b"numpy._core.multiarray", b"numpy._core.numeric"):
        old = name.replace(b"_core", b"core")
        content = content.replace(b"\x8c" + bytes([len(name)]) + name, b"\x8c" + bytes([len(old)]) + old)
    assert b"numpy._core" not in content
    # Frames carry their length too: without them the stream is as valid.
    frame = content.index(b"\x95")
    content = content[:frame] + content[frame + 9 :]
    if b"\x95" in content[: frame + 20]:
        pytest.fail("the frame was not taken out")
    (tmp_path / "a.npy").write_bytes(content)
    assert load_dataset(str(tmp_path / "a.npy")).shape == (28, 28, 1)


class _Payload:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


def _hostile(kind: str, victim: Path) -> object:
    payload = _Payload(os.system, f"touch {victim}")
    if kind == "alone":
        return payload
    if kind == "beside arrays":
        return {**published(), "more": payload}
    if kind == "as a label":
        return {"features": published()["features"], "target": np.array([payload] * 20, dtype=object)}
    if kind == "as a key":
        return {**published(), ("features", _Payload(os.mkdir, str(victim))): 1}
    if kind == "eval":
        return _Payload(eval, f"open({str(victim)!r}, 'w')")
    if kind == "subprocess":
        return _Payload(subprocess.call, ["touch", str(victim)])
    return _Payload(np.fromfile, str(victim))


@pytest.mark.parametrize("kind", ["alone", "beside arrays", "as a label", "as a key", "eval", "subprocess", "numpy"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_hostile_pickle_is_refused_and_does_not_run(kind: str, wrapped: bool, tmp_path: Path) -> None:
    path, victim = tmp_path / "a.npy", tmp_path / "victim"
    content = _hostile(kind, victim)
    if wrapped:
        np.save(path, np.array(content, dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"a\.npy is refused.*nothing of it has been run"):
        load_dataset(str(path))
    assert not victim.exists()


def test_the_hostile_pickle_would_have_run(tmp_path: Path) -> None:
    path, victim = tmp_path / "a.npy", tmp_path / "victim"
    np.save(path, np.array(_hostile("beside arrays", victim), dtype=object), allow_pickle=True)
    code = f"import numpy; numpy.load({str(path)!r}, allow_pickle=True)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert victim.exists()


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(np.ndarray),
        pickle.dumps([1, 2]),
        pickle.dumps({"features": np.zeros(2, dtype=[("a", "i4")])}),
        pickle.dumps({"features": np.array(["2020"], dtype="datetime64[Y]")}),
        pickle.dumps({"features": [np.zeros(2)]}),
        pickle.dumps({1: np.zeros(2)}),
        pickle.dumps(published())[:-100],
        b"\x80\x04",
        b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy\nndarray\n((I1000000000000\ntR.",
        b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I-1\ntS'b'\ntR(I1\n(I9\ntcnumpy\ndtype\n(S'u1'\ntRI00\nS'ab'\ntb.",
        b"P1\n.",
    ],
)
def test_what_is_no_dict_of_arrays_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match=r"a\.npy"):
        load_arrays(io.BytesIO(content), where="a.npy")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_pickles_never_raise_anything_else(data: st.DataObject) -> None:
    content = bytearray(pickle.dumps({"features": np.arange(6).reshape(2, 3), "target": np.arange(2)}, 2))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = load_arrays(io.BytesIO(bytes(content)), where="a.npy")
    except DataError:
        return
    assert isinstance(read, dict | np.ndarray)


def test_a_dict_without_the_known_names_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", {"pixels": np.zeros((4, 4)), "kinds": np.zeros(4)})
    with pytest.raises(DataError, match="has the arrays kinds, pixels; supported are x_train"):
        load_dataset(str(tmp_path / "a.npy"))
