"""The documentation uses the words of its glossary, and none of those that they replaced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_blocks import ROOT, blocks_of, markdown_files
from notebooks import NOTEBOOKS, read_notebook

GLOSSARY = ROOT / "docs/glossary.md"

ONLY_IN_CODE = {"captured log", "console", "finalize", "prune", "restore", "rewrite"}
"""Terms for who reads the code; the pages for users need none of them."""

REPLACED = {
    r"answer(s|ed|ing)?": "prediction, predict",
    r"judg(e|es|ed|ing)": "evaluate, evaluation set",
    r"(chooses?|chosen|choosing)": "select",
    r"(foreign|strangers?)": "third-party",
    r"(tidy|tidies|tidied)": "finalize",
    r"pictures?": "image, photo",
    r"one would think": "say what is the case",
}
"""Word -> what stands in its place."""


def terms() -> list[str]:
    return re.findall(r"^(\S.*)\n: ", GLOSSARY.read_text("utf-8"), re.M)


def prose(file: Path) -> str:
    """The text of a page or a notebook without its code."""
    if file.suffix == ".ipynb":
        cells = read_notebook(file)["cells"]
        return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    text = file.read_text("utf-8")
    for block in blocks_of(file):
        text = text.replace(block.text, "")
    return re.sub(r"`[^`\n]*`", "", text)


PAGES = [*markdown_files(), *NOTEBOOKS]


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_replaced_word_is_used(file: Path) -> None:
    text = prose(file)
    found = {match[0]: better for word, better in REPLACED.items() for match in re.finditer(rf"(?i)\b{word}\b", text)}
    assert not found


def test_terms_are_in_order_and_each_stands_once() -> None:
    found = [term.lower() for term in terms()]
    assert len(found) > 50 and found == sorted(set(found))


def test_the_documentation_uses_every_term() -> None:
    def plain(text: str) -> str:
        return text.lower().replace("-", " ")

    text = plain("\n".join(file.read_text("utf-8") for file in PAGES if file != GLOSSARY))
    unused = {term for term in terms() if not any(re.search(rf"\b{plain(part)}", text) for part in term.split(", "))}
    assert unused <= ONLY_IN_CODE
