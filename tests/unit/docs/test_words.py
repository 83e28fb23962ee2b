"""Documentation and code use the words of the glossary, and none of those that they replaced."""

from __future__ import annotations

import io
import re
import tokenize
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

PUBLIC = {"answered", "accuracy_of_answered", "choose", "chosen_by", "chosen_for", "pictures"}
"""Keys of JSON that others read, which stay; "choose" also in "n choose k"."""

SOURCES = sorted(
    file
    for folder in ("edge_fm", "export", "runtime", "tests", "benchmarks", "tools", "docs/_ext")
    for file in (ROOT / folder).rglob("*.py")
    # This file lists the words, the other one the names that users give to columns.
    if file not in (Path(__file__), ROOT / "edge_fm/data/image_files/manifest_table.py")
)


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


def replaced_in_code(text: str) -> set[str]:
    """Replaced words in the comments, strings and names of a module."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.COMMENT, tokenize.STRING, tokenize.NAME):
            continue
        for word in set(re.findall(r"[A-Za-z_]+", token.string)) - PUBLIC:
            if any(re.fullmatch(one, part) for one in REPLACED for part in word.lower().split("_")):
                found.add(word)
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("answers = 3  # the foreign model\n", {"answers", "foreign"}),
        ("def test_who_judges(): ...\n", {"test_who_judges"}),
        ('raise ValueError("a is no picture")\n', {"picture"}),
        ("read_picture(file)\n", {"read_picture"}),
        ('row["answered"] = note["pictures"]\n', set()),
    ],
)
def test_replaced_words_are_found_in_code(text: str, found: set[str]) -> None:
    assert replaced_in_code(text) == found


def test_no_replaced_word_is_used_in_code() -> None:
    found = {str(file.relative_to(ROOT)): replaced_in_code(file.read_text("utf-8")) for file in SOURCES}
    assert len(found) > 700 and not {file: words for file, words in found.items() if words}
