"""Every fenced block of every Markdown file runs, from a folder that holds only what the block names.

The blocks of a tutorial run one after the other in one folder, as a reader runs them; every other block runs alone.
Blocks for a device run on a base install. What would train on 60,000 images, download or measure for minutes is run in
a short form, or not at all with the reason below; in every case its options are read by the command that they are for.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from pathlib import Path

import click
import numpy as np
import pytest
from base_install import make_base_install, run_in
from markdown_blocks import TUTORIALS, Block, blocks_of, commands_of, markdown_files
from numpy.typing import NDArray
from PIL import Image
from tiny_models import tiny_images

from edge_fm.cli import cli
from edge_fm.data import load_dataset, sample_photo
from edge_fm_runtime import Classifier

NOT_RUN = {
    r"pip install ": "installs from a registry; tools/check_wheel.py installs the wheel",
    r"make (quickstart|bench|bench-compare|cold-start)": "takes minutes; tests/integration/test_the_whole_way.py",
    r"make (test|lint|types|docs|wheel-check)": "is a step of .ci/run, as this test is",
    r"python (-m benchmarks\.|benchmarks/)": "measures for minutes; tests/unit/benchmarking tests the harness",
    r"export KERAS_BACKEND=jax": "needs JAX",
    r"edgefm data fetch": "downloads; tests/integration/test_data_fetch.py fetches",
    r"(edgefm serve .*&$|curl .*127\.0\.0\.1:8000|kill \$!)": "serves; tests/integration/processes/test_serve.py does",
    r"edgefm infer --video (rtsp:|/dev/)": "needs a camera",
    r"edgefm (export .*--format web|(verify|benchmark) \S+-web-)": "fetches a package; tests/integration/web has pages",
    r"edgefm verify .* --server ": "needs the server; tests/unit/export/test_model_repositories.py asks one",
    r"python -m http\.server": "serves until it is stopped",
    r"ray start ": "starts a cluster",
    r"edgefm (infer|crossval) .* --on ": "starts Ray; tests/unit/scale/test_on_ray.py does",
    r"edgefm train ": "trains on 60,000 images; tests/integration/test_the_whole_way.py trains on part of the mini set",
    r"edgefm evaluate runs/(latest|lenet5) --report": "needs the run of the line before, which is not trained here",
    r"edgefm experiments --run \S+( --seeds \S+)?$": "trains on 60,000 images; the tutorial's trial runs on 600",
    r"(git |\(cd tflite-micro |cmake )": "downloads TFLM's sources; tests/unit/export/tflm builds without them",
    r"edgefm (export|evaluate) edgenet-[ns]( |$)(?!.*--data )": "needs all of Fashion-MNIST, which is downloaded",
}
"""Beginning of a line -> why it is not run."""

SHORTENED = {
    r"(edgefm train --recipe quickstart .*)": r"\1 --epochs 1 --set data.samples=600",
    r"(edgefm train --data my_images/ .*)": r"\1 --epochs 1",
    r"--format onnx --precision int8": "--format onnx --precision int8 --max-drop 100",
    r" --min-score auto": " --min-score 0.5",
    r"--format all --precision all": "--format onnx --precision int8 --max-drop 20",
    r"(edgefm benchmark .* --against \S+)": r"\1 --duration 0.05 --min-samples 2 --skip starts --skip streams",
    r"(edgefm autotune \S+(?: --max-drop \S+)?)$": r"\1 --duration 0.05 --allow-load",
}
"""What is run in place of a long form: fewer images, epochs and formats, wider tolerances, shorter measurements."""

SHORTENED_PYTHON = {"TrainOptions(epochs=1)": 'TrainOptions(epochs=1, settings={"data.samples": 600})'}
"""Likewise in Python blocks."""

SHAPE, NAMES = (12, 10, 3), ("rose", "tulip", "daisy", "lily")

LANGUAGES = {"bash", "python", "toml", "text", "{eval-rst}"}
NEEDS_ALL = re.compile(r"edge-fm\[(all|serve)\]|edge_fm\.serve|\.keras|import keras|edge_fm\.train")
NEEDS_VIDEO = re.compile(r"clip\.mp4")
PAGES = {file: blocks_of(file) for file in markdown_files()}
BLOCKS = [block for blocks in PAGES.values() for block in blocks]
ALONE = [block for block in BLOCKS if TUTORIALS not in block.file.parents]
RECIPES = [block for block in BLOCKS if block.language == "toml"]
COMMANDS = [(block, line) for block in BLOCKS if block.language == "bash" for line in commands_of(block)]


def shortened(line: str) -> str:
    for long, short in SHORTENED.items():
        line = re.sub(long, short, line)
    return line


def shortened_python(text: str) -> str:
    for long, short in SHORTENED_PYTHON.items():
        text = text.replace(long, short)
    return text


def why_not(line: str) -> str | None:
    """Why a line is not run; None where it is."""
    if shortened(line) != line and line.startswith("edgefm train"):
        return None
    return next((reason for begin, reason in NOT_RUN.items() if re.match(rf"(for .*?do )?{begin}", line)), None)


def lines_to_run(block: Block) -> str:
    return "\n".join(shortened(line) for line in commands_of(block) if why_not(line) is None)


def in_a_tutorial(block: Block) -> Path | None:
    """The tutorial that runs these commands, one after the other, in the same kind of folder; None without one."""
    text = lines_to_run(block)
    return next((page for page in TUTORIALS.glob("*.md") if any(text == lines_to_run(b) for b in PAGES[page])), None)


def skip_if_nothing_runs(block: Block) -> None:
    lines = commands_of(block)
    if all(why_not(line) is not None for line in lines):
        pytest.skip("; ".join(dict.fromkeys(str(why_not(line)) for line in lines)))
    if (page := in_a_tutorial(block)) is not None:
        pytest.skip(f"test_a_tutorial runs the same commands of {page.name}")


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    assert {block.language for block in BLOCKS} <= LANGUAGES
    lines = [line for _, line in COMMANDS]
    assert len(lines) > 50 and len([block for block in BLOCKS if block.language == "python"]) >= 6 and len(RECIPES) == 4
    shown = [line for block in BLOCKS if block.language == "text" for line in block.text.splitlines()]
    assert not [line for line in shown if re.match(r"(edgefm|pip|make|python) ", line)]


def test_every_exception_is_needed() -> None:
    lines = [line for _, line in COMMANDS]
    assert not [begin for begin in NOT_RUN if not any(re.match(rf"(for .*?do )?{begin}", line) for line in lines)]
    assert not [long for long in SHORTENED if not any(re.search(long, line) for line in lines)]
    code = [block.text for block in BLOCKS if block.language == "python"]
    assert not [long for long in SHORTENED_PYTHON if not any(long in text for text in code)]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base_install(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `give_models` gives, trained once; each block gets a copy."""
    made = tmp_path_factory.mktemp("models")
    give_models(made)
    return made


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
    for module in ("keras", "tensorflow", "openvino", "matplotlib", "onnx", "optuna", "sklearn", "ray", "pyarrow"):
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


def run_block(block: Block, programs: Path, folder: Path) -> None:
    """Run a shell or Python block, and fail with its output where it fails."""
    if block.language == "bash":
        text, shell = lines_to_run(block), "bash"
    else:
        strict = "" if NEEDS_ALL.search(block.text) else "import warnings\nwarnings.simplefilter('error')\n"
        text, shell = strict + shortened_python(block.text), "python"
    done = run_in(programs, text, folder, shell=shell)
    assert done.returncode == 0, f"{block}\n{text}\n{done.stdout}\n{done.stderr}"
    if shell == "python" and "print(" in block.text:
        assert any(label in done.stdout for label in Classifier.load().artifact.metadata.labels)


@pytest.mark.parametrize("block", [block for block in ALONE if block.language in ("bash", "python")], ids=str)
def test_a_block(block: Block, base: Path, folder: Path, request: pytest.FixtureRequest) -> None:
    if block.language == "bash":
        skip_if_nothing_runs(block)
    if "edgefm sign" in block.text:
        pytest.importorskip("cryptography")
        if shutil.which("openssl") is None:
            pytest.skip("needs the program openssl, which is not installed")
    needs_video = NEEDS_VIDEO.search(block.text)
    if needs_video:
        pytest.importorskip("av", reason="needs the extra video")
        from video_clips import make_clip

        make_clip(folder / "clip.mp4", 30)
    needs_all = NEEDS_ALL.search(block.text)
    if needs_all:
        shutil.copytree(request.getfixturevalue("models"), folder, dirs_exist_ok=True)
    run_block(block, request.getfixturevalue("preloaded") if needs_all or needs_video else base, folder)


@pytest.mark.slow
@pytest.mark.needs("tensorflow", "tf2onnx", "openvino")
@pytest.mark.parametrize("page", sorted(TUTORIALS.glob("*-*.md")), ids=lambda page: page.stem)
def test_a_tutorial(page: Path, base: Path, folder: Path, request: pytest.FixtureRequest) -> None:
    blocks = [block for block in PAGES[page] if block.language in ("bash", "python")]
    assert blocks
    needs_all = any(NEEDS_ALL.search(block.text) or "edgefm train" in block.text for block in blocks)
    if needs_all:
        give_images(folder / "my_images")
    programs = request.getfixturevalue("preloaded") if needs_all else base
    for block in blocks:
        run_block(block, programs, folder)


@pytest.mark.parametrize("block", RECIPES, ids=str)
def test_recipes(block: Block, folder: Path) -> None:
    from edge_fm.training import load_recipe
    from edge_fm.training.recipe.file import load_search

    file = folder / "my.toml"
    if "search" in tomllib.loads(block.text):
        whole = 'schema = 1\nname = "x"\n[model]\nname = "edgenet-s"\n[data]\nsource = "fashion-mnist"\n'
        file.write_text(whole + block.text)
        recipe, plan = load_search(str(file))
        assert len(plan.dimensions) == 4 and recipe.name == "x"
    else:
        file.write_text(block.text)
        assert load_recipe(str(file)).name in ("garments", "pairs")


@pytest.mark.parametrize(("block", "line"), [(b, line) for b, line in COMMANDS if "edgefm" in line], ids=str)
def test_options_are_those_of_the_command(block: Block, line: str) -> None:
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


def give_images(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """A folder of images for each label; also returns their pixels and classes."""
    images, classes = tiny_images(SHAPE, 600, seed=1)
    for number, (pixels, index) in enumerate(zip(images, classes, strict=True)):
        place = folder / NAMES[int(index)]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    return images, classes


def give_models(folder: Path) -> None:
    """The models, labels and photos that a person would have: a model of pixels, and one that wants them in -1..1."""
    import keras

    for model, photos, labels in (("my_model", "my_images", "labels.txt"), ("flowers", "flowers", "flowers.txt")):
        images, classes = give_images(folder / photos)
        keras.utils.set_random_seed(0)
        inside = [keras.layers.Rescaling(1 / 127.5, offset=-1.0)] if model == "my_model" else []
        made = keras.Sequential(
            [
                keras.Input(SHAPE),
                *inside,
                keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(4, activation="softmax"),
            ]
        )
        made.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", jit_compile=False)
        made.fit(images if inside else images / 127.5 - 1, classes, batch_size=64, epochs=6, verbose=0)
        made.save(folder / f"{model}.keras")
        (folder / labels).write_text("\n".join(NAMES) + "\n")
    (folder / "camera").mkdir()
    for number, pixels in enumerate(tiny_images(SHAPE, 40, seed=2)[0]):
        Image.fromarray(pixels).save(folder / "camera" / f"{number}.png")
