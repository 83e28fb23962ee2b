"""The Markdown files of the project and their fenced blocks, for the tests that run and check them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
TUTORIALS = ROOT / "docs/tutorials"


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        file: the Markdown file that it stands in.
        language: what follows the opening fence.
        text: the lines between the fences.
        line: the line of the opening fence, from 1.
    """

    file: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def markdown_files() -> list[Path]:
    """Every Markdown file that a person reads: those of the root, of docs/ and of .github/."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]
    return sorted(file for file in found if file.name != "CHANGELOG.md")


def blocks_of(file: Path) -> list[Block]:
    """The fenced blocks of a file, in order."""
    text = file.read_text("utf-8")
    found = re.finditer(r"^```(\S*)\n(.*?)^```$", text, re.M | re.S)
    return [Block(file, m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in found]


def commands_of(block: Block) -> list[str]:
    """The commands of a shell block, each in one line and without its comment."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    return [text for line in joined.splitlines() if (text := re.sub(r"(^|\s+)#.*", "", line).strip())]
