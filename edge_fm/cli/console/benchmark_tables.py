"""A benchmark's figures as tables on a terminal; they take the JSON object, so a stored one prints alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_fm.cli.console.console import print_line, print_table

if TYPE_CHECKING:
    from edge_fm.api.loadgen import ScenariosResult


def print_report(report: dict[str, Any]) -> None:
    """Print verdict, rows, ratios and profiles on stdout.

    Args:
        report: what `edgefm benchmark --json` prints.
    """
    machine = report["environment"]["machine"]
    _rows(report, f"{machine['cpu']}, {machine['threads']} threads: {report['verdict']}")
    if report["ratios"]:
        cells = [[r["of"], r["to"], str(r["batch"]), f"{r['p50_ratio']:.1f}x", _interval(r)] for r in report["ratios"]]
        columns = ["than", "is", "batch", "faster", "95% interval"]
        print_table("How many times faster (ratio of medians)", columns, cells, right=(2, 3, 4))
    if report["overheads"]:
        overheads = report["overheads"]
        cells = [[r["model"], r["over"], str(r["batch"]), f"{r['p50_ratio']:.3f}", _interval(r, 3)] for r in overheads]
        columns = ["ours", "over the bare library", "batch", "ratio", "95% interval"]
        print_table("What our engines cost (ours over bare; 1.00 is nothing)", columns, cells, right=(2, 3, 4))
    for profile in report["profiles"]:
        print_profile(profile)
    if report.get("scaling"):
        _scaling(report["scaling"])
    if report["harness_us"] is not None:
        print_line(f"Measuring itself costs {report['harness_us']:.1f} microseconds a call (the null engine's row).")
    print_line(report["verdict"] + ("" if report["verdict"] == "VALID" else ": this run is not to be relied on"))
    for reason in report["reasons"]:
        print_line(f"  {reason}")


def print_profile(profile: dict[str, Any]) -> None:
    """Print where one model's time goes."""
    title = f"{profile['model']} on {profile['engine']}: where the time goes"
    if profile["stages"]:
        total = sum(s["p50_ms"] for s in profile["stages"])
        cells = [
            [s["stage"], _ms(s["p50_ms"]), f"{100 * s['p50_ms'] / total:.0f}%", s["what"]] for s in profile["stages"]
        ]
        print_table(title, ["stage", "p50 ms", "share", "what"], cells, right=(1, 2), wraps=["what"])
    if profile["operators"]:
        cells = [
            [o["type"], o["name"], f"{o['p50_us']:.1f}", f"{100 * o['share']:.1f}%", o["kernel"] or "-"]
            for o in profile["operators"][:20]
        ]
        more = len(profile["operators"]) - len(cells)
        names = ["operator", "name", "p50 us", "share", "kernel"]
        left_out = f", the slowest {len(cells)} of {len(cells) + more}" if more > 0 else ""
        heading = f"{title}: operators, as {profile['source']} reports{left_out}"
        print_table(heading, names, cells, right=(2, 3), optional=["kernel"])
    elif profile["note"]:
        print_line(f"{title}: {profile['note']}")


def print_scenarios(measured: ScenariosResult) -> None:
    """Print what LoadGen measured in each scenario, and its verdicts."""
    from edge_fm.api.loadgen import OFFICIAL_DURATION_S

    rows = []
    for result in measured.results:
        row = result.to_json()
        name, value, unit = result.metric
        rows.append(
            [
                *(row[key] for key in ("model", "engine", "precision", "scenario", "verdict")),
                f"{name} {value:.3f} {unit}" if unit == "ms" else f"{name} {value:.0f} {unit}",
                "-" if row["target_qps"] is None else f"{row['target_qps']:.0f}/s, {row['target_latency_ms']:g} ms",
                *(f"{row[key]:.3f}" for key in ("p50_ms", "p99_ms")),
                *(str(row[key]) for key in ("queries", "runs")),
                "-" if row["accuracy"] is None else f"{100 * row['accuracy']:.2f}",
            ]
        )
    plan = measured.plan
    settings = "MLPerf's durations and counts"
    if not plan.official:
        settings = f"at least {plan.min_duration_s:g} s each, MLPerf's rules otherwise"
        settings += f" (--official for its {OFFICIAL_DURATION_S} s)"
    columns = ["model", "engine", "runs at", "scenario", "LoadGen", "result", "target"]
    columns += ["p50 ms", "p99 ms", "queries", "runs", "accuracy %"]
    optional = ["runs", "queries", "target", "p50 ms", "p99 ms", "runs at", "accuracy %"]
    title = f"MLPerf LoadGen {measured.version}, {settings}"
    print_table(title, columns, rows, right=range(7, len(columns)), optional=optional)


def _scaling(scaling: dict[str, Any]) -> None:
    """One table for each thing that grows."""
    ceilings = [[str(c["threads"]), f"{c['peak_gflops']:.0f}", f"{c['bandwidth_gbs']:.1f}"] for c in scaling["machine"]]
    print_table("Ceilings of this machine", ["threads", "GFLOP/s fp32", "GB/s"], ceilings, right=(0, 1, 2))
    parts = {"batch": "batch", "threads": "threads", "image_size": "side", "model_size": "parameters"}
    for part, key in parts.items():
        cells = [
            [
                *(str(p.get(k) or "-") for k in ("model", "engine", "batch", "threads", key)),
                _ms(p["p50_ms"]),
                _whole(p["throughput_ips"]),
                "-" if p["gflops"] is None else f"{p['gflops']:.1f}",
            ]
            for p in scaling[part]
        ]
        names = ["model", "engine", "images", "threads", key, "p50 ms", "images/s", "GFLOP/s"]
        optional = ["GFLOP/s", "images/s"]
        print_table(
            f"Scaling with {part.replace('_', ' ')}", names, cells, right=range(2, len(names)), optional=optional
        )


def _rows(report: dict[str, Any], title: str) -> None:
    rows, costs = [], []
    for r in report["rows"]:
        rows.append(
            [r["model"], r["engine"], r["precision"], str(r["batch"]), str(r["threads"]), str(r["n"])]
            + [_ms(r[k]) for k in ("p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "photo_p50_ms")]
            + [_whole(r["throughput_ips"]), _whole(r["streams_throughput_ips"]), r["verdict"]]
        )
        if r["load_ms"] is not None and r["batch"] == min(o["batch"] for o in report["rows"]):
            size = "-" if r.get("bytes") is None else f"{r['bytes'] / 1024:.0f}"
            costs.append(
                [r["model"], r["engine"], _ms(r["load_ms"]), _ms(r["first_ms"]), _whole(r["peak_rss_mib"]), size]
            )
    columns = ["model", "engine", "runs at", "batch", "threads", "n", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms"]
    columns += ["photo ms", "images/s", "streams/s", "verdict"]
    optional = ["p99.9 ms", "n", "streams/s", "p90 ms", "threads", "p99 ms", "images/s", "photo ms", "runs at"]
    print_table(title, columns, rows, right=range(3, len(columns) - 1), optional=optional)
    columns = ["model", "engine", "load ms", "first ms", "peak MiB", "KiB on disk"]
    optional = ["KiB on disk", "first ms"]
    if costs:
        title = "Starting, each in a process of its own"
        print_table(title, columns, costs, right=range(2, len(columns)), optional=optional)


def _interval(ratio: dict[str, Any], digits: int = 1) -> str:
    low, high = ratio["p50_ratio_ci95"]
    return f"{low:.{digits}f}..{high:.{digits}f}"


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if value < 100 else f"{value:.0f}"
