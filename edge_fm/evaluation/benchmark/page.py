"""The page of a benchmark: one self-contained HTML that a person reads in a minute, made from its JSON alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fm.evaluation.benchmark.plots import (
    accuracy_against_latency,
    accuracy_drop,
    cold_start,
    latency_distributions,
    memory,
    rows_of,
    throughput,
)
from edge_fm.evaluation.benchmark.recommendation import RULE, recommend
from edge_fm.evaluation.benchmark.scaling_page import scaling_section
from edge_fm.evaluation.benchmark.stored import JSON_FILE, store_benchmark
from edge_fm.evaluation.page import (
    badge,
    document,
    facts,
    figures,
    folded,
    heading,
    listing,
    paragraph,
    table,
    tiles,
    together,
)
from edge_fm_runtime.system.atomic_write import replacing, write_utf8

if TYPE_CHECKING:
    from markupsafe import Markup

HTML_FILE = "benchmark.html"
_REASONS = 4


def write_benchmark(report: Mapping[str, Any], folder: Path) -> tuple[Path, Path]:
    """Write benchmark.json and benchmark.html.

    Args:
        report: what `edgefm benchmark --json` prints.
        folder: made where it is missing.

    Returns:
        both files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored, page = folder / JSON_FILE, folder / HTML_FILE
    store_benchmark(report, stored)
    with replacing(page) as temporary:
        write_utf8(temporary, benchmark_page(report))
    return stored, page


def benchmark_page(report: Mapping[str, Any]) -> str:
    """The whole page as HTML."""
    environment = report["environment"]
    machine = environment["machine"]
    advice = recommend(report)
    names = list(dict.fromkeys(row["model"] for row in rows_of(report, "artifact")))
    title = f"Benchmark of {names[0] if len(names) == 1 else f'{len(names)} artifacts'}"
    valid = report["verdict"] == "VALID"
    return document(
        title,
        heading(title, 1),
        paragraph(f"{machine['cpu']}, {environment['threads']} threads, {environment['time']}", kind="dim"),
        badge(report["verdict"], good=valid),
        None if valid else _reasons(report["reasons"]),
        paragraph(advice.sentence, kind="lead"),
        paragraph(RULE, kind="dim"),
        tiles(_headline(report, advice.model, advice.engine)),
        heading("How fast, how right"),
        figures(accuracy_against_latency(report), latency_distributions(report), throughput(report)),
        _rows_table(report, advice.model, advice.engine),
        _starting(report),
        _proof(report),
        _ratios(report),
        _profiles(report),
        scaling_section(report.get("scaling")),
        _environment(report),
    )


def _reasons(reasons: Sequence[str]) -> Markup:
    """The first few, which are the machine's, and the rest folded away."""
    first, rest = reasons[:_REASONS], reasons[_REASONS:]
    return together(
        paragraph("These figures are not to be relied on:", kind="bad"),
        listing(first),
        folded(f"{len(rest)} more reason{'s' * (len(rest) > 1)}", listing(rest)) if rest else None,
    )


def _starting(report: Mapping[str, Any]) -> Markup | None:
    drawings = [*filter(None, (cold_start(report), memory(report)))]
    return together(heading("Starting and memory"), figures(*drawings)) if drawings else None


def _headline(report: Mapping[str, Any], model: str | None, engine: str | None) -> dict[str, str]:
    row = next((r for r in rows_of(report, "artifact") if (r["model"], r["engine"]) == (model, engine)), None)
    if row is None:
        return {"artifacts measured": str(len(rows_of(report, "artifact")))}
    photo = {} if row["photo_p50_ms"] is None else {"from photo to class, p50": f"{_ms(row['photo_p50_ms'])} ms"}
    tail = next(
        ((f"latency, {k[:-3]}", f"{_ms(row[k])} ms") for k in ("p99_ms", "p95_ms", "p90_ms") if row[k] is not None),
        None,
    )
    start = {} if row["load_ms"] is None else {"cold start": f"{row['load_ms'] + row['first_ms']:.0f} ms"}
    peak = {} if row["peak_rss_mib"] is None else {"peak memory": f"{row['peak_rss_mib']:.0f} MiB"}
    best = max(row["throughput_ips"], row["streams_throughput_ips"] or 0)
    return {
        "latency, p50": f"{_ms(row['p50_ms'])} ms",
        **(dict([tail]) if tail else {}),
        "images a second": f"{best:,.0f}",
        **photo,
        **start,
        **peak,
    }


def _rows_table(report: Mapping[str, Any], model: str | None, engine: str | None) -> Markup:
    """Two tables, so that each fits a page: a call's latency with its verdict, and what else was measured."""
    shown = [r for r in report["rows"] if r["kind"] in ("artifact", "reference")]
    best = [i for i, r in enumerate(shown) if (r["model"], r["engine"]) == (model, engine)]
    columns = ["model", "verdict", "engine", "runs at", "batch", "p50 ms", "95% interval", "p90", "p99", "p99.9", "n"]
    calls = [
        [
            *(r["model"], r["verdict"], r["engine"], r["precision"], str(r["batch"]), _ms(r["p50_ms"])),
            "{}–{}".format(*map(_ms, r["p50_ci95_ms"])),
            *(_ms(r[k]) for k in ("p90_ms", "p99_ms", "p99_9_ms")),
            f"{r['n']:,}",
        ]
        for r in shown
    ]
    note = "Milliseconds of a call with a whole batch, model alone. A dash: too few samples for that percentile."
    others = ["model", "engine", "batch", "photo ms", "images/s", "streams/s", "KiB"]
    more = [
        [
            *(r["model"], r["engine"], str(r["batch"]), _ms(r["photo_p50_ms"])),
            *(_whole(r["throughput_ips"]), _whole(r["streams_throughput_ips"])),
            "–" if r.get("bytes") is None else f"{r['bytes'] / 1024:,.0f}",
        ]
        for r in shown
    ]
    about = (
        "photo: median from the file to the class. images/s: one caller; streams/s: several batches at once. "
        "KiB: on disk. A dash: not measured."
    )
    return together(
        table(columns, calls, text=(0, 1, 2, 3), best=best),
        paragraph(note, kind="dim"),
        table(others, more, text=(0, 1), best=best),
        paragraph(about, kind="dim"),
    )


def _proof(report: Mapping[str, Any]) -> Markup | None:
    rows = [r for r in rows_of(report, "artifact") if r.get("max_abs_diff") is not None]
    if not rows:
        return None

    def percent(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.2f}%"

    cells = []
    for r in rows:
        ends = "–" if not r.get("drop_ci95") else "{:+.2f} to {:+.2f}".format(*r["drop_ci95"])
        lost = "–" if r["drop_points"] is None else f"{r['drop_points']:+.2f}"
        named = [r["model"], r["format"], r["stored_precision"], f"{r['max_abs_diff']:.1e}"]
        shares = (percent(r[key]) for key in ("top1_agreement", "accuracy_reference", "accuracy"))
        cells.append([*named, *shares, lost, ends])
    columns = [
        "artifact",
        "format",
        "precision",
        "max difference",
        "same predictions",
        "original",
        "artifact's accuracy",
    ]
    columns += ["points lost", "95% interval"]
    where = next((r["accuracy_dataset"] for r in rows if r.get("accuracy_dataset")), None)
    note = "As the gate recorded it at export" + (f", on {where}" if where else "") + "."
    return together(
        heading("Does it still predict like the original"),
        figures(accuracy_drop(report)),
        table(columns, cells, text=(0, 1, 2)),
        paragraph(note, kind="dim"),
    )


def _ratios(report: Mapping[str, Any]) -> Markup:
    parts: list[Markup] = []
    if report["overheads"]:
        cells = [
            [
                r["model"],
                r["over"],
                str(r["batch"]),
                f"{r['p50_ratio']:.3f}",
                "{:.3f}–{:.3f}".format(*r["p50_ratio_ci95"]),
            ]
            for r in report["overheads"]
        ]
        parts += [
            heading("What our engines cost"),
            table(["ours", "over the bare library", "batch", "ratio of medians", "95% interval"], cells, text=(0, 1)),
            paragraph("1.000 is no overhead. Intervals: bootstrap over interleaved rounds.", kind="dim"),
        ]
    if report["ratios"]:
        cells = [
            [r["of"], r["to"], str(r["batch"]), f"{r['p50_ratio']:.1f}", "{:.1f}–{:.1f}".format(*r["p50_ratio_ci95"])]
            for r in report["ratios"]
        ]
        columns = ["than", "is", "batch", "times faster", "95% interval"]
        parts += [heading("Faster than the original"), table(columns, cells, text=(0, 1))]
    return together(*parts)


def _profiles(report: Mapping[str, Any]) -> Markup | None:
    parts = []
    for p in report["profiles"]:
        parts.append(heading(f"{p['model']} on {p['engine']}", 3))
        if p["stages"]:
            total = sum(s["p50_ms"] for s in p["stages"]) or 1.0
            cells = [
                [s["stage"], s["what"], _ms(s["p50_ms"]), f"{100 * s['p50_ms'] / total:.0f}%"] for s in p["stages"]
            ]
            parts.append(table(["stage", "what", "p50 ms", "share"], cells, text=(0, 1)))
        if p["operators"]:
            cells = [
                [o["type"], o["name"], o["kernel"] or "–", f"{o['p50_us']:.0f}", f"{100 * o['share']:.1f}%"]
                for o in p["operators"]
            ]
            inner = table(["operator", "name", "kernel", "p50 µs", "share"], cells, text=(0, 1, 2))
            parts.append(folded(f"{len(cells)} operators, slowest first, by {p['source']}", inner))
        elif p["note"]:
            parts.append(paragraph(p["note"], kind="dim"))
    return together(heading("Where the time goes"), *parts) if parts else None


def _environment(report: Mapping[str, Any]) -> Markup:
    environment = report["environment"]
    machine = environment["machine"]
    about = {
        "CPU": machine["cpu"],
        "features": ", ".join(machine["features"]) or "–",
        "threads": f"{machine['threads']}: {machine['threads_reason']}",
        "memory": "–" if machine["memory_mib"] is None else f"{machine['memory_mib'] / 1024:.0f} GiB",
        "system": f"{machine['system']}, Python {machine['python']}",
        "libraries": ", ".join(f"{name} {version}" for name, version in environment["versions"].items()),
        "command": "edgefm " + " ".join(environment["command"]),
        "time": environment["time"],
    }
    if report.get("harness_us") is not None:
        about["measuring itself"] = f"{report['harness_us']:.1f} µs a call (the null engine)"
    cells = [
        [stage, c["verdict"], f"{c['seconds']:.0f} s"]
        + [_share(c[k]) for k in ("others_share", "steal_share", "throttled_share", "work_slowdown")]
        for stage, c in report["conditions"].items()
    ]
    columns = ["stage", "verdict", "took", "CPU taken by others", "stolen", "throttled", "slowdown"]
    return together(
        heading("Machine"),
        facts(about),
        heading("What the machine did meanwhile", 3),
        table(columns, cells, text=(0, 1)),
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}%"


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _ms(value: float | None) -> str:
    return (
        "–" if value is None else f"{value:.3f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
    )
