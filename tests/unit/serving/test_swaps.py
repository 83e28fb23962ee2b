"""Artifacts that are replaced on disk: proven ones are swapped in, others refused, and no request is lost or wrong."""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running_server import Running, needs_server, running

from edge_fm.serving.models import Models
from edge_fm.serving.options import ModelSource, ServeOptions
from edge_fm.serving.snapshot import open_verified
from edge_fm_runtime.artifacts.metadata import CHECKSUM_KEY, Metadata
from edge_fm_runtime.errors import ArtifactError, GateError, IntegrityError

pytestmark = needs_server
WATCH_S = 0.02


def photo() -> bytes:
    packed = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9), dtype=np.uint8)).save(packed, "PNG")
    return packed.getvalue()


@pytest.fixture
def two(make_artifact: Callable[..., Path], metadata: Metadata) -> tuple[Path, Path]:
    """Two proven artifacts that label the same photo otherwise."""
    return make_artifact("a"), make_artifact("b", metadata=replace(metadata, labels=("x", "y", "z")))


def replace_folder(folder: Path, by: Path, *, leave_out: str = "") -> None:
    """Put another artifact's files into a folder, one after the other, as `cp` does."""
    for file in sorted(by.iterdir()):
        if file.name != leave_out:
            shutil.copyfile(file, folder / file.name)


def label(server: Running) -> str:
    status, found = server.ask("POST", "/v2/models/tiny/classify", photo())
    assert status == 200, found
    return str(found["predictions"][0]["label"])


def refusals(server: Running) -> int:
    return sum("is served as before" in note for note in server.notes)


def wait(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


@contextmanager
def served(tmp_path: Path, artifact: Path) -> Iterator[tuple[Running, Path]]:
    folder = tmp_path / "served"
    shutil.copytree(artifact, folder)
    with running(folder, watch_s=WATCH_S) as server:
        yield server, folder


def test_another_artifact_is_swapped_in(tmp_path: Path, two: tuple[Path, Path]) -> None:
    with served(tmp_path, two[0]) as (server, folder):
        before = label(server)
        replace_folder(folder, two[1])
        wait(lambda: bool(server.notes))
        assert server.notes == [f"tiny (version 1) was replaced by what lies in {folder}."]
        assert before not in "xyz" and label(server) in "xyz"
        assert server.ask("GET", "/v2/models/tiny")[1]["parameters"]["labels"] == ["x", "y", "z"]
        assert 'edgefm_swaps_total{model="tiny",outcome="swapped"} 1.0' in server.ask("GET", "/metrics")[1].decode()


def damage_payload(folder: Path, other: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.onnx").write_bytes(content)


def half_copied(folder: Path, other: Path) -> None:
    replace_folder(folder, other, leave_out="model.onnx")


def without_metadata(folder: Path, other: Path) -> None:
    (folder / "edgefm.json").unlink()


def gone(folder: Path, other: Path) -> None:
    shutil.rmtree(folder)


def wrong_predictions(folder: Path, other: Path) -> None:
    """Hashes are right, and the golden predictions are those of another model."""
    from edge_fm_runtime.artifacts.files import hash_file
    from edge_fm_runtime.artifacts.golden import Golden, save_golden

    images = np.random.default_rng(1).integers(0, 256, (32, 4, 4, 1), dtype=np.uint8)
    predictions = np.tile(np.float32([0.1, 0.1, 0.8]), (32, 1))
    save_golden(Golden(images, predictions, predictions), folder / "golden.npz")
    described = json.loads((folder / "edgefm.json").read_text())
    entry = hash_file(folder / "golden.npz")
    described["files"]["golden.npz"] = {"sha256": entry.sha256, "bytes": entry.bytes}
    del described[CHECKSUM_KEY]
    (folder / "edgefm.json").write_text(json.dumps(described))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damage_payload, "model.onnx"),
        (half_copied, "model.onnx"),
        (without_metadata, "edgefm.json"),
        (gone, "is not there"),
        (wrong_predictions, "does not predict here"),
    ],
)
def test_a_bad_artifact_is_refused_once_and_a_good_one_after_it_is_taken(
    tmp_path: Path, two: tuple[Path, Path], spoil: Callable[[Path, Path], None], reason: str
) -> None:
    with served(tmp_path, two[0]) as (server, folder):
        before = label(server)
        spoil(folder, two[1])
        wait(lambda: bool(server.notes))
        time.sleep(5 * WATCH_S)
        (note,) = server.notes  # said once, not at every look
        assert note.startswith("tiny (version 1) is served as before: ") and reason in note
        assert str(folder) in note and "edgefm-serve-" not in note
        assert label(server) == before
        folder.mkdir(exist_ok=True)
        replace_folder(folder, two[1])
        wait(lambda: label(server) in "xyz")


ROUNDS = int(os.environ.get("EDGEFM_SWAP_ROUNDS", "3"))
"""Of two good artifacts and a bad one each; 334 make a thousand."""


def test_swaps_under_load_lose_no_request_and_none_gets_a_wrong_result(tmp_path: Path, two: tuple[Path, Path]) -> None:
    from edge_fm import Classifier

    expected = {}
    for artifact in two:
        with Classifier.load(artifact) as classifier:
            top = classifier.classify(photo())
            expected[top.label] = round(top.score, 5)
    found: list[tuple[int, Any]] = []
    done = threading.Event()
    with served(tmp_path, two[0]) as (server, folder):

        def ask() -> None:
            while not done.is_set():
                found.append(server.ask("POST", "/v2/models/tiny/classify", photo()))

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        spoil = (half_copied, damage_payload, without_metadata)
        for round_ in range(ROUNDS):
            for artifact, labels in ((two[1], {"x", "y", "z"}), (two[0], set(expected) - {"x", "y", "z"})):
                replace_folder(folder, artifact)
                wait(lambda labels=labels: label(server) in labels)
            spoil[round_ % len(spoil)](folder, two[1])
            wait(lambda least=round_ + 1: refusals(server) >= least)
        done.set()
        for thread in threads:
            thread.join()
    # From the second round on, the first of its good artifacts takes the place of a bad one.
    assert sum("was replaced" in note for note in server.notes) == 2 * ROUNDS and refusals(server) == ROUNDS
    labels = {content["predictions"][0]["label"] for status, content in found if status == 200}
    assert len(found) > 50 and labels == set(expected)
    for status, content in found:
        (row,) = content["predictions"]
        assert status == 200 and row["score"] == pytest.approx(expected[row["label"]], abs=2e-5)


@pytest.mark.parametrize(
    ("spoil", "error"), [(damage_payload, IntegrityError), (wrong_predictions, GateError), (gone, ArtifactError)]
)
def test_a_bad_artifact_is_not_served_at_all(
    two: tuple[Path, Path], spoil: Callable[[Path, Path], None], error: type[Exception]
) -> None:
    spoil(two[0], two[1])
    with pytest.raises(error), running(two[0]):
        pass


def test_two_of_one_name_and_version_are_refused(two: tuple[Path, Path]) -> None:
    with pytest.raises(ArtifactError, match="Two artifacts are to be served as version 1 of tiny") as error:
        Models([ModelSource(two[0]), ModelSource(two[1])], ServeOptions(), lambda *_: None)
    assert error.value.hint == f"Give them names or versions: OTHER={two[1]} or tiny@2={two[1]}"
    with running(two[0], f"tiny@2={two[1]}", f"other={two[1]}") as server:
        assert server.ask("GET", "/v2/models")[1] == {"models": ["other", "tiny"]}
        assert label(server) in "xyz"


def test_a_bare_payload_is_refused(two: tuple[Path, Path]) -> None:
    with pytest.raises(ArtifactError, match="only an artifact's folder is served"), running(two[0] / "model.onnx"):
        pass


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("artifacts/a", ModelSource(Path("artifacts/a"))),
        ("a=artifacts/a", ModelSource(Path("artifacts/a"), "a")),
        ("a@7=x=y", ModelSource(Path("x=y"), "a", "7")),
        ("./a=b", ModelSource(Path("a=b"))),
    ],
)
def test_names_and_versions_are_read(text: str, expected: ModelSource) -> None:
    assert ModelSource.parse(text) == expected


@pytest.mark.parametrize(("text", "message"), [("a@x=b", "'x' is no version"), ("a b=c", "cannot be a model's name")])
def test_wrong_names_and_versions_are_refused(text: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        ModelSource.parse(text)


def test_a_path_that_exists_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b").mkdir()
    assert ModelSource.parse("a=b") == ModelSource(Path("a=b"))


@pytest.mark.parametrize("what", ["endless", "pipe", "same"])
def test_what_is_no_regular_file_is_not_copied(what: str, make_artifact: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_artifact()
    if what == "endless":  # a copy of what the link points to would fill the disk
        (folder / "golden.npz").unlink()
        (folder / "golden.npz").symlink_to("/dev/zero")
    elif what == "pipe":
        os.mkfifo(folder / "pipe")
    else:
        (folder / "golden.npz").rename(tmp_path / "golden.npz")
        (folder / "golden.npz").symlink_to(tmp_path / "golden.npz")
    message = "neither a file nor a folder" if what == "pipe" else "golden.npz is (missing|a link)"
    with pytest.raises(IntegrityError, match=message) as caught:
        open_verified(folder, ServeOptions())
    assert str(folder) in caught.value.message
