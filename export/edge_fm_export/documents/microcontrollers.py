"""The part of the model card on microcontrollers: what the model needs, and which boards have it."""

from __future__ import annotations

from edge_fm_export.tflm.boards import CODE_BYTES, KIB, OTHER_RAM_BYTES, budget
from edge_fm_runtime.artifacts.metadata import Metadata


def microcontroller_lines(metadata: Metadata) -> list[str]:
    """Lines of Markdown; none for formats that are not for microcontrollers."""
    graph = metadata.graph or {}
    if metadata.format != "tflm" or graph.get("arena_bytes") is None or graph.get("model_bytes") is None:
        return []
    model_bytes, arena_bytes = graph["model_bytes"], graph["arena_bytes"]
    macs = graph.get("macs")
    rows = budget(model_bytes=model_bytes, arena_bytes=arena_bytes)
    return [
        "",
        "## Microcontrollers",
        "",
        "| | |",
        "|---|---|",
        f"| Flash for the model | {model_bytes:,} bytes |",
        f"| RAM for the arena | {arena_bytes:,} bytes |",
        *([] if macs is None else [f"| Multiply-accumulates an image | {macs:,} |"]),
        f"| Operators | {', '.join(graph.get('operators', ()))} |",
        f"| Sources written for | tflite-micro at commit {graph.get('tflm_commit', 'unknown')} |",
        "",
        "The arena is the smallest in which TFLM's interpreter ran the model on a 64-bit machine with the reference "
        f"kernels. A board fits where {CODE_BYTES // KIB} KiB of flash are left to the code and "
        f"{OTHER_RAM_BYTES // KIB} KiB of RAM to the rest of the program; both are assumptions.",
        "",
        "| Board | Flash KiB | RAM KiB | Fits | Source |",
        "|---|---:|---:|---|---|",
        *(
            f"| {row['title']} (`{row['board']}`) | {row['flash_bytes'] // KIB:,} | {row['ram_bytes'] // KIB:,} | "
            f"{'yes' if row['fits'] else 'no'} | {row['source']} |"
            for row in rows
        ),
        "",
        "TFLM's reference kernels, which the figures of the gate are of, round as LiteRT's reference kernels do. "
        "LiteRT itself usually runs by XNNPACK, which rounds otherwise: an image whose best two classes are nearly the "
        "same may get the other one from a LiteRT artifact of the same model.",
        "",
        "`model.h` and `model.cc` hold the model, its labels and its operators; `main.cc` classifies the golden inputs "
        "of `golden.cc` and prints OK: `cmake -DTFLM_DIR=DIR`, DIR being what TFLM's `create_tflm_tree.py` writes.",
    ]
