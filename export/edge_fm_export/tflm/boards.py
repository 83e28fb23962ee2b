"""Microcontroller boards: how much flash and RAM each has, and which of them a model fits."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from edge_fm_runtime.errors import ExportError

KIB = 1024
CODE_BYTES = 64 * KIB
"""Flash that is left to TFLM's interpreter and kernels and to the program around them; an assumption, not measured."""
OTHER_RAM_BYTES = 8 * KIB
"""RAM that is left to the stack and to the program's own variables; an assumption, not measured."""


@dataclass(frozen=True)
class Board:
    """A board with a microcontroller.

    Attributes:
        name: as `--board` takes it.
        title: what its maker calls it, and its chip.
        flash_bytes: of program memory.
        ram_bytes: of RAM in all; on some chips not in one piece.
        source: the document that says so.
    """

    name: str
    title: str
    flash_bytes: int
    ram_bytes: int
    source: str


BOARDS: tuple[Board, ...] = (
    Board("blue-pill", "Blue Pill (STM32F103C8)", 64 * KIB, 20 * KIB, "STMicroelectronics DS5319"),
    Board("arduino-zero", "Arduino Zero (SAMD21G18)", 256 * KIB, 32 * KIB, "Microchip DS40001882"),
    Board("arduino-uno-r4", "Arduino UNO R4 (RA4M1)", 256 * KIB, 32 * KIB, "Renesas R01DS0355"),
    Board("nucleo-f401re", "NUCLEO-F401RE (STM32F401RE)", 512 * KIB, 96 * KIB, "STMicroelectronics DS10086"),
    Board("nucleo-l476rg", "NUCLEO-L476RG (STM32L476RG)", 1024 * KIB, 128 * KIB, "STMicroelectronics DS10198"),
    Board(
        "nano-33-ble", "Arduino Nano 33 BLE (nRF52840)", 1024 * KIB, 256 * KIB, "Nordic nRF52840 Product Specification"
    ),
    Board("pico", "Raspberry Pi Pico (RP2040)", 2048 * KIB, 264 * KIB, "Raspberry Pi Pico Datasheet"),
    Board("stm32f746g-disco", "32F746GDISCOVERY (STM32F746NG)", 1024 * KIB, 340 * KIB, "STMicroelectronics DS10916"),
    Board("sparkfun-edge", "SparkFun Edge (Apollo3 Blue)", 1024 * KIB, 384 * KIB, "Ambiq Apollo3 Blue Datasheet"),
    Board("esp32-s3", "ESP32-S3-DevKitC-1 (N8)", 8192 * KIB, 512 * KIB, "Espressif ESP32-S3 Series Datasheet"),
    Board("esp32", "ESP32-DevKitC (ESP32-WROOM-32E)", 4096 * KIB, 520 * KIB, "Espressif ESP32 Series Datasheet"),
    Board("pico-2", "Raspberry Pi Pico 2 (RP2350)", 4096 * KIB, 520 * KIB, "Raspberry Pi Pico 2 Datasheet"),
    Board(
        "teensy-4.1", "Teensy 4.1 (i.MX RT1062)", 7936 * KIB, 1024 * KIB, "PJRC, Teensy 4.1 technical specifications"
    ),
)
"""Boards that are often used with TFLM, the smallest RAM first. External RAM is not counted."""


def find_board(name: str) -> Board:
    """The board that `--board` names.

    Raises:
        ExportError: there is none of that name; the message lists all.
    """
    wanted = name.strip().lower()
    for board in BOARDS:
        if board.name == wanted:
            return board
    known = [board.name for board in BOARDS]
    near = difflib.get_close_matches(wanted, known, n=1)
    raise ExportError(
        f"There is no board {name!r} in the table; there are: {', '.join(known)}.",
        hint=f"Did you mean --board {near[0]}?" if near else "Leave --board out: the model card says which boards fit.",
    )


def why_not_fits(board: Board, *, model_bytes: int, arena_bytes: int) -> str | None:
    """Why a model does not fit a board: what it needs and what there is; None where it fits.

    Args:
        board: which.
        model_bytes: of flash that the model takes, or at least takes.
        arena_bytes: of RAM that the arena takes, or at least takes.
    """
    reasons = [
        f"{what} {_kib(needed)} and {rest} {_kib(reserve)} are more than the {_kib(there)} of {memory}"
        for what, needed, rest, reserve, there, memory in (
            ("the model's", model_bytes, "the code's", CODE_BYTES, board.flash_bytes, "flash"),
            ("the arena's", arena_bytes, "the program's other", OTHER_RAM_BYTES, board.ram_bytes, "RAM"),
        )
        if needed + reserve > there
    ]
    return " and ".join(reasons) or None


def require_fit(board: Board, *, model_bytes: int, arena_bytes: int, at_least: bool = False) -> None:
    """Raise unless a model fits a board.

    Args:
        board: which.
        model_bytes: of flash that the model takes.
        arena_bytes: of RAM that the arena takes.
        at_least: both are lower bounds.

    Raises:
        ExportError: says what is too large, and which boards are large enough.
    """
    reason = why_not_fits(board, model_bytes=model_bytes, arena_bytes=arena_bytes)
    if reason is None:
        return
    fitting = [b.name for b in BOARDS if why_not_fits(b, model_bytes=model_bytes, arena_bytes=arena_bytes) is None]
    bound = " (at least: the model is not quantized yet)" if at_least else ""
    raise ExportError(
        f"The model does not fit {board.title}: {reason}{bound}.",
        hint=f"Boards of the table that {'may be' if at_least else 'are'} large enough: {', '.join(fitting)}."
        if fitting
        else "No board of the table is large enough; train a smaller model, such as edgenet-n.",
    )


def budget(*, model_bytes: int, arena_bytes: int) -> list[dict[str, Any]]:
    """One row for each board: name, title, flash and RAM in bytes, whether the model fits, and why not."""
    return [
        {
            "board": board.name,
            "title": board.title,
            "flash_bytes": board.flash_bytes,
            "ram_bytes": board.ram_bytes,
            "source": board.source,
            "why_not": (reason := why_not_fits(board, model_bytes=model_bytes, arena_bytes=arena_bytes)),
            "fits": reason is None,
        }
        for board in BOARDS
    ]


def _kib(count: int) -> str:
    return f"{count / KIB:,.0f} KiB" if count >= 10 * KIB else f"{count / KIB:,.1f} KiB"
