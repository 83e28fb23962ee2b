"""Files of label names: one a line in the order of the classes, or JSON as training scripts write it."""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_fm_runtime.artifacts.metadata_reader import MAX_TEXT
from edge_fm_runtime.errors import DataError

_MAX_BYTES = 16 << 20
_HINT = "Write one label a line as UTF-8 text, in the order of the classes, the first for class 0."
# A longer mark first: that of UTF-32 begins like that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NUMBERED = re.compile(r"(\d{1,7})(?:\s*[,;:]\s*|\s*[.)]\s+|\s+)(\S.*)", re.ASCII)
_MARK_WITHIN = "\ufeff"  # what joined files leave before the first line of the second one


@dataclass(frozen=True)
class LabelFile:
    """Label names, and how they were read.

    Attributes:
        names: one for each class, in order.
        note: what a person should know of how the file was read, or None.
    """

    names: tuple[str, ...]
    note: str | None = None


def read_label_file(path: Path) -> LabelFile:
    """Read label names.

    Supported are text (UTF-8, or UTF-16 and UTF-32 with a byte order mark; any line ends) with one label a line, and
    JSON: a list of labels, or a dict of labels and class numbers either way round. Numbers from 0 upwards before the
    labels, as browser trainers write them, are taken off.

    Raises:
        DataError: it is something else, or a label is empty or occurs twice; names the line.
    """
    text = _read_text(path)
    if path.suffix.lower() == ".json" or text.lstrip()[:1] in ("[", "{"):
        names = _from_json(text, path)
        if names is not None:
            return LabelFile(_checked(names, path, "entry"), "The labels were read from JSON.")
    lines = [line.strip().strip(_MARK_WITHIN).strip() for line in re.split(r"\r\n|\n|\r", text)]
    while lines and not lines[-1]:
        lines.pop()
    names = _checked(tuple(lines), path, "line")
    numbered = [(int(match[1]), match[2]) for match in map(_NUMBERED.fullmatch, names) if match]
    if len(names) > 1 and len({name for _, name in numbered}) == len(names):
        bare = tuple(name for _, name in numbered)
        numbers = [number for number, _ in numbered]
        if numbers == list(range(len(names))):
            return LabelFile(bare, f"The numbers before the labels in {path.name} were taken off: {bare[0]}, ...")
        if sorted(numbers) in ([*range(len(names))], [*range(1, len(names) + 1)]):
            note = f"The numbers before the labels in {path.name} do not count from 0, so they stay: {names[0]}, ..."
            return LabelFile(names, note)
    return LabelFile(names)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"The labels in {path} cannot be read: {error.strerror or error}.", hint=_HINT) from error
    if len(content) > _MAX_BYTES:
        raise DataError(f"{path} has more than {_MAX_BYTES >> 20} MiB; it holds no label names.", hint=_HINT)
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"The labels in {path} cannot be read: they are not {encoding.upper()} text ({error.reason} at byte "
            f"{error.start}).",
            hint=_HINT,
        ) from error
    if "\0" in text:
        raise DataError(f"{path} is not text: it holds zero bytes.", hint=_HINT)
    return text


def _from_json(text: str, path: Path) -> tuple[str, ...] | None:
    """The labels in JSON; None where it is none, and the file is not called so."""
    try:
        value: Any = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        if path.suffix.lower() != ".json":
            return None
        raise DataError(f"The labels in {path} cannot be read: {error}.", hint=_HINT) from error
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(name.strip() for name in value)
    if isinstance(value, dict):
        pairs = [_pair(key, other) for key, other in value.items()]
        known = {number: name for number, name in (pair for pair in pairs if pair is not None)}
        if len(known) == len(pairs) and sorted(known) == list(range(len(pairs))):
            return tuple(known[number] for number in range(len(pairs)))
    raise DataError(
        f"{path} holds JSON that is not a list of labels, and not a dict of labels and the class numbers from 0.",
        hint='Such as ["cat", "dog"] or {"cat": 0, "dog": 1}.',
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict of JSON; of a key that occurs twice Python would keep the last value alone."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return found


def _pair(key: str, other: Any) -> tuple[int, str] | None:
    if isinstance(other, int) and not isinstance(other, bool):
        return other, key.strip()
    if isinstance(other, str) and key.isascii() and key.isdigit() and len(key) < 8:
        return int(key), other.strip()
    return None


def _checked(names: tuple[str, ...], path: Path, what: str) -> tuple[str, ...]:
    if not names:
        raise DataError(f"{path} is empty; there are no labels in it.", hint=_HINT)
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            raise DataError(f"{path}, {what} {number} is empty.", hint="Remove it, or name the class.")
        if any("\ud800" <= char <= "\udfff" for char in name):
            raise DataError(
                f"{path}, {what} {number} is {name!r}, which is not text: it holds half of a character (a surrogate).",
                hint=_HINT,
            )
        if len(name) > MAX_TEXT:
            raise DataError(
                f"{path}, {what} {number} has {len(name):,} characters; labels have up to {MAX_TEXT:,}.", hint=_HINT
            )
        if name in first:
            raise DataError(
                f"{path} has the label {name!r} twice, in {what} {first[name]} and {what} {number}.",
                hint="Each class needs a name of its own.",
            )
        first[name] = number
    return names
