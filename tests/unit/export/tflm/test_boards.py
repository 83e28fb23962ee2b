"""The table of boards, and what fits them."""

from __future__ import annotations

import pytest

from edge_fm_export.tflm.boards import BOARDS, CODE_BYTES, KIB, OTHER_RAM_BYTES, budget, find_board, require_fit
from edge_fm_runtime.errors import ExportError


def test_each_board_has_a_name_of_its_own_and_a_source() -> None:
    names = [board.name for board in BOARDS]
    assert len(set(names)) == len(names) and all(board.source for board in BOARDS)
    assert [find_board(f" {name.upper()} ").name for name in names] == names
    assert all(board.flash_bytes > board.ram_bytes > 0 for board in BOARDS)


def test_a_misspelt_board_is_refused_with_the_nearest() -> None:
    with pytest.raises(ExportError, match="--board nano-33-ble") as caught:
        find_board("nano33ble")
    assert all(board.name in caught.value.message for board in BOARDS)


def test_what_fits_to_the_byte_fits() -> None:
    board = find_board("arduino-zero")
    most = {"model_bytes": board.flash_bytes - CODE_BYTES, "arena_bytes": board.ram_bytes - OTHER_RAM_BYTES}
    require_fit(board, **most)
    for key, value in most.items():
        with pytest.raises(ExportError, match="does not fit Arduino Zero") as caught:
            require_fit(board, **{**most, key: value + 1})
        assert "arduino-zero," not in str(caught.value.hint) and "pico" in str(caught.value.hint)


def test_a_3_mb_model_fits_no_board_of_256_kib() -> None:
    with pytest.raises(ExportError, match="3,072 KiB and the code's 64 KiB are more than the 256 KiB of flash"):
        require_fit(find_board("arduino-zero"), model_bytes=3072 * KIB, arena_bytes=0)
    rows = {row["board"]: row["fits"] for row in budget(model_bytes=3072 * KIB, arena_bytes=1 * KIB)}
    assert [name for name, fits in rows.items() if fits] == ["esp32-s3", "esp32", "pico-2", "teensy-4.1"]


def test_where_no_board_is_large_enough_the_hint_says_so() -> None:
    with pytest.raises(ExportError) as caught:
        require_fit(find_board("pico"), model_bytes=1 << 30, arena_bytes=0)
    assert "No board of the table is large enough" in str(caught.value.hint)
