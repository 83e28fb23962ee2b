"""Typed access to JSON that anybody may have written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, cast

from edge_fm_runtime.artifacts.names import NAME_RULE, is_plain_name
from edge_fm_runtime.artifacts.sections import first_fault
from edge_fm_runtime.errors import ArtifactError

MAX_LABELS = 100_000
REEXPORT = "Export the model again: edgefm export"
MAX_TEXT = 4096
"""Characters of a label or a name."""

_MAX_DEPTH = 16
_MAX_PATH = 1024
_MAX_PART = 255
"""Bytes; what file systems take."""


def _is_text(value: Any) -> bool:
    try:
        return isinstance(value, str) and 0 < len(value.encode()) <= 4 * MAX_TEXT and len(value) <= MAX_TEXT
    except UnicodeEncodeError:  # a lone surrogate, which JSON can spell and no file or terminal can hold
        return False


class JsonReader:
    """Typed access to untrusted JSON; every failure names the file, the field, what was got and what is wanted."""

    def __init__(self, where: str) -> None:
        self.where = where

    def fail(self, name: str, wanted: str, got: object) -> None:
        shown = repr(got)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        raise ArtifactError(f"{self.where}: {name} must be {wanted}, got {shown}.", hint=REEXPORT)

    def _typed(self, ok: Callable[[Any], bool], value: Any, name: str, wanted: str) -> Any:
        if not ok(value):
            self.fail(name, wanted, value)
        return value

    def mapping(self, value: object, name: str) -> Mapping[str, Any]:
        return cast(Mapping[str, Any], self._typed(lambda v: isinstance(v, dict), value, name, "an object"))

    def section(self, top: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
        value = top.get(name)
        if value is None:
            return None
        self._depth(value, name, 0)
        content = self.mapping(value, name)
        if (fault := first_fault(name, content)) is not None:
            self.fail(*fault)
        return content

    def _depth(self, value: object, name: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            self.fail(name, f"nested at most {_MAX_DEPTH} deep", "something deeper")
        children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for child in children:
            self._depth(child, name, depth + 1)

    def items(self, value: object, name: str, least: int, most: int) -> list[Any]:
        def fits(v: Any) -> bool:
            return isinstance(v, list) and least <= len(v) <= most

        wanted = f"a list of {least}" if least == most else f"a list of {least} to {most}"
        return cast(list[Any], self._typed(fits, value, name, wanted))

    def text(self, value: object, name: str) -> str:
        return cast(
            str,
            self._typed(_is_text, value, name, f"a non-empty string of at most {MAX_TEXT} characters"),
        )

    def name(self, value: object, name: str) -> str:
        text = self.text(value, name)
        return cast(str, self._typed(is_plain_name, text, name, NAME_RULE))

    def integer(self, value: object, name: str, least: int, most: int) -> int:
        def fits(v: Any) -> bool:
            return isinstance(v, int) and not isinstance(v, bool) and least <= v <= most

        return cast(int, self._typed(fits, value, name, f"an integer from {least} to {most}"))

    def choice(self, value: object, name: str, options: tuple[str, ...]) -> str:
        return cast(str, self._typed(lambda v: v in options, value, name, f"one of {', '.join(options)}"))

    def labels(self, value: object) -> tuple[str, ...]:
        return tuple(self.text(v, f"labels[{i}]") for i, v in enumerate(self.items(value, "labels", 1, MAX_LABELS)))

    def relative_path(self, value: object, name: str) -> str:
        text = self.text(value, name)
        path = PurePosixPath(text)
        unsafe = path.is_absolute() or ".." in path.parts or "\\" in text or ":" in text or "\0" in text
        too_long = len(text.encode()) > _MAX_PATH or any(len(part.encode()) > _MAX_PART for part in path.parts)
        if unsafe or too_long or str(path) != text or text == ".":
            self.fail(name, f"a plain path inside the artifact, of at most {_MAX_PATH} bytes", text)
        return text
