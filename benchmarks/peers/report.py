"""The peers' table as JSON and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.peers.compare import LOSES_FROM, Comparison

COLUMNS = ("model", "peer", "batch", "measure", "EdgeFM", "peer's", "ratio", "95% interval", "")


def to_json(row: Comparison) -> dict[str, Any]:
    """One row; milliseconds, or images a second where `measure` is "throughput"."""
    return {
        "model": row.model,
        "engine": row.engine,
        "peer": row.peer,
        "batch": row.batch,
        "threads": row.threads,
        "measure": row.measure,
        "ours": row.ours,
        "theirs": row.theirs,
        "ratio": None if row.ratio is None else row.ratio.value,
        "ci95": None if row.ratio is None else row.ratio.to_json(),
        "verdict": row.verdict,
        "remark": row.remark,
    }


def cells(row: Mapping[str, Any]) -> list[str]:
    """The cells of a row of the JSON, for `COLUMNS`."""
    unit = "/s" if row["measure"] == "throughput" else " ms"

    def figure(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f}{unit}" if unit == "/s" else f"{value:.3f}{unit}"

    ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
    interval = "-" if row["ci95"] is None else "{:.3f} to {:.3f}".format(*row["ci95"])
    return [
        row["model"],
        row["peer"],
        str(row["batch"]),
        row["measure"],
        figure(row["ours"]),
        figure(row["theirs"]),
        ratio,
        interval,
        row["verdict"],
    ]


def headline(report: Mapping[str, Any]) -> str:
    """To which peers EdgeFM loses, in a sentence."""
    ran = [r for r in report["rows"] if r["ratio"] is not None]
    lost = [r for r in ran if r["verdict"] == "LOSES"]
    rule = f"by more than {100 * (LOSES_FROM - 1):.0f}%"
    if not lost:
        return f"None of {len(ran)} peers is faster than EdgeFM {rule}."
    named = "; ".join(f"{r['peer']} on {r['model']}, batch {r['batch']} ({r['ratio']:.2f})" for r in lost)
    return f"{len(lost)} of {len(ran)} peers are faster than EdgeFM {rule}: {named}."


def notes(report: Mapping[str, Any]) -> list[str]:
    """What is not quite the same, and what did not run and why, once each."""
    lines = [
        (r["peer"] if r["ratio"] is not None else f"{r['peer']} on {r['model']}", r["remark"]) for r in report["rows"]
    ]
    return [f"{name}: {text}" for name, text in dict.fromkeys([*lines, *report["left_out"].items()]) if text]


def markdown(report: Mapping[str, Any]) -> str:
    """The table, the machine and the date above it, and below it what was left out and why."""
    machine = report["environment"]["machine"]
    lines = [
        f"{machine['cpu']}, {machine['threads']} threads, {report['date']}. EdgeFM's time divided by the peer's "
        "(throughput: the peer's divided by EdgeFM's): below 1, EdgeFM is faster.",
        "",
        headline(report),
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---|---|---:|---|---:|---:|---:|---|---|",
        *("| " + " | ".join(cells(row)) + " |" for row in report["rows"]),
        "",
        *(f"- {line}." for line in notes(report)),
    ]
    return "\n".join(lines) + "\n"
