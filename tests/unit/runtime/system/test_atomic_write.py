"""Files are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_fm_runtime.system.atomic_write import replacing


def names(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def test_a_file_is_replaced_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path, mode=0o600) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert (path.read_text(), path.stat().st_mode & 0o777, names(tmp_path)) == ("new", 0o600, ["a.txt"])


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="No space left") as caught, replacing(path) as temporary:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(path)
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.txt"])


def test_links_are_replaced_and_not_written_through(tmp_path: Path) -> None:
    """In the place of the file, or of the temporary file where its name is known beforehand."""
    (tmp_path / "mine").write_text("precious")
    path = tmp_path / "a.txt"
    for mode in (None, 0o600):
        for name in ("a.txt", ".a.txt.tmp"):
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / name).symlink_to(tmp_path / "mine")
        with replacing(path, beside=".a.txt.tmp", mode=mode) as temporary:
            temporary.write_text("new")
        assert (tmp_path / "mine").read_text() == "precious"
        assert path.read_text() == "new" and not path.is_symlink()
        assert sorted(names(tmp_path)) == ["a.txt", "mine"]


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "absent" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught, replacing(path) as temporary:
        temporary.write_text("new")
    assert caught.value.filename == str(path)
