"""What the documents at the root and in docs/ promise: links that lead somewhere, paths that are true, one version."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from markdown_blocks import ROOT, blocks_of, markdown_files
from PIL import Image

import edge_fm_runtime
from edge_fm import __version__
from edge_fm.training import parse_recipe
from edge_fm_runtime import Classifier, load_artifact
from edge_fm_runtime.artifacts.packaged import DEFAULT_MODEL
from edge_fm_runtime.errors import EdgeFMError

CONTRIBUTING = ROOT / "CONTRIBUTING.md"


def anchors(file: Path) -> set[str]:
    """The anchors of a Markdown file's headings, as GitHub and MyST make them."""
    heads = re.findall(r"^#+ (.*)$", without_blocks(file), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def without_blocks(file: Path) -> str:
    text = file.read_text("utf-8")
    for block in blocks_of(file):
        text = text.replace(block.text, "")
    return text


@pytest.mark.parametrize("file", markdown_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_inside_the_project_leads_somewhere(file: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_blocks(file)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = file.parent / path if path else file
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert not wrong


def test_every_page_is_in_the_table_of_contents() -> None:
    docs = ROOT / "docs"
    reached, to_read = set(), [docs / "index.md"]
    while to_read:
        page = to_read.pop()
        reached.add(page)
        if page.with_suffix(".ipynb").exists():
            continue
        for entries in re.findall(r"^:::\{toctree\}\n(.*?)^:::", page.read_text("utf-8"), re.M | re.S):
            names = [line for line in entries.splitlines() if line and not line.startswith(":")]
            to_read += [(page.parent / f"{name}.md").resolve() for name in names]
    notebooks = {file.with_suffix(".md") for file in docs.rglob("*.ipynb")}
    assert reached == {*docs.rglob("*.md"), *notebooks}


def test_every_name_that_the_runtime_offers_is_documented() -> None:
    page = (ROOT / "docs/reference/python-runtime.md").read_text("utf-8")
    found = re.findall(r"^\.\. auto\w+:: edge_fm_runtime\.(\w+)$", page, re.M)
    assert sorted(found) == sorted(set(edge_fm_runtime.__all__) - {"__version__"})


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


@pytest.mark.needs("yaml")
def test_the_citation_is_of_this_version() -> None:
    import yaml

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == __version__ and citation["license"] == "Apache-2.0"
    assert {"cff-version", "message", "title", "authors"} <= set(citation)


@pytest.mark.needs("yaml")
def test_the_example_workflow_calls_what_ci_runs() -> None:
    import yaml

    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    (command,) = [step["run"] for step in steps if "run" in step]
    assert (ROOT / command).stat().st_mode & 0o100


def test_the_layout_in_contributing_is_that_of_the_project() -> None:
    (listing,) = [block for block in blocks_of(CONTRIBUTING) if block.language == "text"]
    parent = ""
    for line in listing.text.splitlines():
        name = line.split()[0]
        parent = parent if line.startswith(" ") else name
        assert (ROOT / (parent + name if line.startswith(" ") else name)).is_dir(), name


def where_to_look() -> dict[str, tuple[Path, str]]:
    """Question -> file and function, from the table in CONTRIBUTING."""
    table = CONTRIBUTING.read_text("utf-8").partition("## Where to look")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*?\?) \| `(.*?)` \| `(.*?)` \|$", table, re.M)
    return {question: (ROOT / file, name) for question, file, name in rows}


def functions_called(code: Callable[[], object]) -> set[tuple[Path, str]]:
    """File and name of every Python function that runs while `code` does; its EdgeFMErrors are passed over."""
    called = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            called.add((frame.f_code.co_filename, frame.f_code.co_name))

    sys.setprofile(note)
    try:
        code()
    except EdgeFMError:
        pass
    finally:
        sys.setprofile(None)
    return {(Path(file), name) for file, name in called}


def classify() -> None:
    with Classifier.load() as classifier:
        classifier.classify(Image.new("RGB", (60, 40), "white"))


def export_without_calibration() -> None:
    import numpy as np

    from edge_fm_export.context import EvaluationSet, SourceModel
    from edge_fm_export.pipeline import export_targets
    from edge_fm_export.targets import Target

    metadata = load_artifact(DEFAULT_MODEL).metadata
    none: Any = None  # the model is not reached: int8 is refused before
    source = SourceModel("x", none, metadata.input, metadata.labels, metadata.photo, "0" * 64)
    images = EvaluationSet("x", np.zeros((1, *metadata.input.shape), np.uint8), None, "0" * 64)
    export_targets(source, [Target("onnx", "int8")], "nowhere", test=images)


WAYS = {
    "Where does a photo become pixels?": classify,
    "Where is int8 decided?": export_without_calibration,
    "Where is a recipe's key checked?": lambda: parse_recipe("[training]\nepoch = 3"),
    "Where is an artifact validated?": lambda: load_artifact(DEFAULT_MODEL),
}


def test_the_table_of_paths_is_the_one_that_is_tested() -> None:
    assert set(where_to_look()) == set(WAYS)


@pytest.mark.needs("tensorflow", "onnx", "sympy")
@pytest.mark.parametrize("question", WAYS)
def test_the_paths_in_contributing_are_true(question: str) -> None:
    assert where_to_look()[question] in functions_called(WAYS[question])
