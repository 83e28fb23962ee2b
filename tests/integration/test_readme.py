"""Every fenced block of README runs, from a folder that holds only what the block names.

Blocks for a device run on a base install. What would train on 60,000 images, download or measure for minutes is not
run, with the reason below, but its options are read by the command that they are for.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from base_install import ROOT, make_base_install, run_in
from PIL import Image
from tiny_models import tiny_images

from edge_fm.cli import cli
from edge_fm.data import load_dataset, sample_photo
from edge_fm_runtime import Classifier

NOT_RUN = {
    r"pip install ": "installs from a registry; tools/check_wheel.py installs the wheel",
    r"make (quickstart|bench|cold-start)": "takes minutes; tests/integration/test_the_whole_way.py goes the whole way",
    r"make test": "is this",
    r"python benchmarks/": "measures for minutes; tests/unit/benchmarking tests the harness",
    r"export KERAS_BACKEND=jax": "needs JAX",
    r"edgefm data fetch": "downloads; tests/integration/test_data_fetch.py fetches",
    r"edgefm train ": "trains on 60,000 images; tests/integration/test_the_whole_way.py trains on part of the mini set",
    r"edgefm evaluate runs/latest --report": "needs the run of the line before; tests/unit/cli/test_evaluate_report.py",
    r"edgefm experiments --run": "trains on 60,000 images; tests/unit/experiments reruns one on a part of the mini set",
    r"edgefm (export|evaluate) edgenet-s( |$)": "needs all of Fashion-MNIST, which is downloaded",
}
"""Beginning of a line -> why it is not run."""

SHORTENED = {
    "--format all --precision all": "--format onnx --precision int8 --max-drop 20",
    "--against my_model.keras": "--against my_model.keras --duration 0.05 --min-samples 2 --skip starts --skip streams",
}
"""What lines that do run do less of here: fewer formats, a wider tolerance on few images, and shorter measurements."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and where it begins."""

    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"line {self.line}"


def blocks() -> list[Block]:
    readme = (ROOT / "README.md").read_text("utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", readme, re.M | re.S)
    return [Block(m[1], m[2], readme.count("\n", 0, m.start()) + 1) for m in found]


def is_listing(block: Block) -> bool:
    """Whether a block shows files, not commands."""
    return not block.language and block.text.split()[0].endswith("/")


def lines_of(block: Block) -> list[str]:
    """The commands of a shell block, each in one line and without its comment."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    return [text for line in joined.splitlines() if (text := re.sub(r"(^|\s+)#.*", "", line).strip())]


SHELL = [block for block in blocks() if not block.language and not is_listing(block)]
PYTHON = [block for block in blocks() if block.language == "python"]
TOML = [block for block in blocks() if block.language == "toml"]
COMMANDS = [line for block in SHELL for line in lines_of(block)]


def why_not(line: str) -> str | None:
    return next((reason for begin, reason in NOT_RUN.items() if re.match(rf"(for .*?do )?{begin}", line)), None)


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {block.language for block in blocks()} == {"", "python", "toml"}
    assert len(SHELL) > 10 and len(PYTHON) >= 2 and len(TOML) == 2
    unused = [begin for begin in NOT_RUN if not any(re.match(rf"(for .*?do )?{begin}", line) for line in COMMANDS)]
    assert not unused
    assert all(any(text in line for line in COMMANDS) for text in SHORTENED)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base_install(tmp_path_factory.mktemp("base"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder but for a photo and a folder of photos."""
    place = tmp_path / "here"
    (place / "photos").mkdir(parents=True)
    dataset = load_dataset("fashion-mnist-mini")
    for number, name in enumerate(("photo.jpg", "tulip.jpg", "photos/1.jpg", "photos/2.jpg")):
        sample_photo(dataset.test.images[number], place / name)
    return place


def test_the_base_install_is_one(base: Path, folder: Path) -> None:
    for module in ("keras", "tensorflow", "openvino", "matplotlib", "onnx", "optuna", "sklearn"):
        assert run_in(base, f"import {module}", folder, shell="python").returncode != 0


@pytest.mark.parametrize(
    "command",
    [
        "edgefm evaluate edgenet-s-onnx-int8 --data fashion-mnist-mini --report page",
        "edgefm benchmark edgenet-s-onnx-int8 --out page",
        "edgefm report page",
    ],
)
def test_what_a_page_needs_is_asked_for_before_the_work(command: str, base: Path, folder: Path) -> None:
    done = run_in(base, command, folder)
    assert done.returncode == 1 and not done.stdout and not (folder / "page").exists()
    assert done.stderr.splitlines() == [
        "Error: A page needs jinja2, which is not installed.",
        "pip install 'edge-fm[train]'",
    ]


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_on_a_base_install(block: Block, base: Path, folder: Path) -> None:
    done = run_in(base, f"import warnings\nwarnings.simplefilter('error')\n{block.text}", folder, shell="python")
    assert done.returncode == 0, done.stderr
    if "print(" in block.text:
        assert any(label in done.stdout for label in Classifier.load().artifact.metadata.labels)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_shell(block: Block, base: Path, folder: Path) -> None:
    lines = [line for line in lines_of(block) if why_not(line) is None]
    if not lines:
        pytest.skip("; ".join(dict.fromkeys(str(why_not(line)) for line in lines_of(block))))
    text = "\n".join(lines)
    for long, short in SHORTENED.items():
        text = text.replace(long, short)
    needs_all = "edge-fm[all]" in block.text or ".keras" in block.text
    if needs_all:
        give_models(folder)
    done = run_in(Path(sys.executable).parent if needs_all else base, text, folder)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("block", TOML, ids=str)
def test_recipes(block: Block, folder: Path) -> None:
    from edge_fm.training import load_recipe
    from edge_fm.training.search import load_search

    file = folder / "my.toml"
    if "search" in tomllib.loads(block.text):
        whole = 'schema = 1\nname = "x"\n[model]\nname = "edgenet-s"\n[data]\nsource = "fashion-mnist"\n'
        file.write_text(whole + block.text)
        recipe, plan = load_search(str(file))
        assert len(plan.dimensions) == 4 and recipe.name == "x"
    else:
        file.write_text(block.text)
        assert load_recipe(str(file)).name == "garments"


@pytest.mark.parametrize("line", [line for line in COMMANDS if "edgefm" in line])
def test_options_are_those_of_the_command(line: str) -> None:
    for text in re.findall(r"edgefm [^;|&]*", line):
        names = shlex.split(text.replace("$seed", "0"))[1:]
        command: click.Command = cli
        context = click.Context(cli, info_name="edgefm")
        while isinstance(command, click.Group):
            found = command.get_command(context, names.pop(0))
            assert found is not None, text
            command = found
        parsed = command.make_context("edgefm", names)
        if (recipe := parsed.params.get("recipe_name")) and not recipe.endswith(".toml"):
            from edge_fm.training import load_recipe

            load_recipe(recipe)


def give_models(folder: Path) -> None:
    """The models, labels and photos that a person would have: a model of pixels, and one that wants them in -1..1."""
    import keras

    shape, names = (12, 10, 3), ("rose", "tulip", "daisy", "lily")
    images, classes = tiny_images(shape, 600, seed=1)
    for model, photos, labels in (("my_model", "my_images", "labels.txt"), ("flowers", "flowers", "flowers.txt")):
        keras.utils.set_random_seed(0)
        inside = [keras.layers.Rescaling(1 / 127.5, offset=-1.0)] if model == "my_model" else []
        made = keras.Sequential(
            [
                keras.Input(shape),
                *inside,
                keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(4, activation="softmax"),
            ]
        )
        made.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
        made.fit(images if inside else images / 127.5 - 1, classes, batch_size=64, epochs=6, verbose=0)
        made.save(folder / f"{model}.keras")
        (folder / labels).write_text("\n".join(names) + "\n")
        for number, (pixels, index) in enumerate(zip(images, classes, strict=True)):
            place = folder / photos / names[int(index)]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place / f"{number}.png")
