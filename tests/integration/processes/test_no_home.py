"""A numeric user without a home folder, as containers are often run, and one whose home may not be looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EDGEFM = str(Path(sys.executable).with_name("edgefm"))
# A user namespace: the same user, under a number that the system does not know.
_NOBODY = ("unshare", "--user", "--map-user=12345", "--map-group=12345")
Run = Callable[..., subprocess.CompletedProcess[str]]


def _may_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_NOBODY, "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(not _may_unshare(), reason="unshare is not installed, or may not make a user here")


@pytest.fixture(params=["no home", "another user's home"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Run]:
    project, home, scratch = (tmp_path / name for name in ("project", "home", "scratch"))
    for folder in (project / "photos", home, scratch):
        folder.mkdir(parents=True)
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (20, 20), dtype=np.uint8)
        Image.fromarray(pixels).save(project / "photos" / f"{number}.png")
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "TMPDIR": str(scratch)}
    if request.param != "no home":
        home.chmod(0)
        environment["HOME"] = str(home)

    def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*_NOBODY, *arguments],
            cwd=project,
            env=environment | more,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    yield command
    home.chmod(0o700)
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("infer", "photos/0.png"),
        ("infer", "photos", "--json"),
        pytest.param(("infer", "photos", "--engine", "openvino"), marks=pytest.mark.needs("openvino")),
        ("verify",),
        ("doctor",),
        ("models",),
        ("experiments",),
        ("data", "info", "fashion-mnist-mini"),
    ],
    ids=" ".join,
)
def test_a_command_that_needs_no_folder_works(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(EDGEFM, *arguments)
    assert done.returncode == 0, done.stderr
    assert "arning" not in done.stderr


@pytest.mark.needs("tensorflow", "tf2onnx")
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("data", "fetch", "fashion-mnist"), "EDGEFM_DATA"),
        (("data", "info", "fashion-mnist"), "EDGEFM_DATA"),
        (("infer", "~/photo.jpg"), "~/photo.jpg"),
        (("data", "info", "~nobody12345/data"), "~nobody12345/data"),
        (("export", "~/model.keras"), "model.keras"),
    ],
    ids=str,
)
def test_a_command_that_needs_one_says_which_variable_names_it(
    run: Run, arguments: tuple[str, ...], names: str
) -> None:
    done = run(EDGEFM, *arguments)
    assert done.returncode == 1 and names in done.stderr, done.stderr


def test_autotune_asks_for_a_file_before_it_measures(run: Run) -> None:
    done = run(EDGEFM, "autotune", "edgenet-s-onnx-int8", "--duration", "0.02", "--allow-load")
    assert done.returncode == 1 and "EDGEFM_PROFILE=FILE" in done.stderr
    assert "measuring" not in done.stderr


@pytest.mark.needs("openvino")
def test_a_folder_that_is_named_is_used(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "cache"
    done = run(EDGEFM, "infer", "photos", "--engine", "openvino", XDG_CACHE_HOME=str(place))
    assert done.returncode == 0, done.stderr
    assert len(list(place.glob("edgefm/openvino/*/compiled.blob"))) >= 1


_IMPORTS = """
from edge_fm_export.compat.library_folders import some_home_folder
from edge_fm.models.keras_import import require_keras
from edge_fm.evaluation.plots import new_figure
from edge_fm.models.architectures.backbones import WeightsFile
from edge_fm.models.published_weights import cached_path
from edge_fm_runtime.errors import ModelError
import os, sys
before = os.environ.get("HOME")
with some_home_folder():
    import nncf
assert os.environ.get("HOME") == before
keras = require_keras("a test")
keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
new_figure(1, 1).savefig("figure.png")
if before is None:
    try:
        cached_path(WeightsFile("http://127.0.0.1/x.h5", "x.h5", ""))
    except ModelError as error:
        assert "KERAS_HOME" in error.hint
"""


@pytest.mark.needs("tensorflow", "nncf", "matplotlib")
def test_the_libraries_of_training_and_export_are_imported(run: Run) -> None:
    done = run(sys.executable, "-c", _IMPORTS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.needs("nncf")
def test_nncf_itself_still_needs_a_home_folder() -> None:
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [*_NOBODY, sys.executable, "-c", "import nncf"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "home directory" in done.stderr, "some_home_folder can go: NNCF needs no home"
