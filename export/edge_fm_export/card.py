"""The model card: what a person wants to know of an artifact, from its metadata alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_fm_runtime.metadata import Metadata

CARD_FILE = "README.md"
_MAX_LABELS_SHOWN = 100


def model_card(metadata: Metadata) -> str:
    """Write the model card; the same metadata gives the same text."""
    spec = metadata.input
    batch = "any batch" if spec.batch is None else f"batches of {spec.batch}"
    lines = [
        f"# {metadata.name}",
        "",
        f"An image classifier for {len(metadata.labels)} classes, exported by EdgeFM as {metadata.format} "
        f"at {metadata.precision}.",
        "",
        "```",
        f"edgefm infer photo.jpg --model {metadata.name}",
        f"edgefm verify {metadata.name}",
        "```",
        "",
        "| | |",
        "|---|---|",
        f"| File | `{metadata.payload}` |",
        f"| Input | `{spec.name}`: uint8 pixels [N, {spec.height}, {spec.width}, {spec.channels}] ({spec.colour}), "
        f"0..255 as they are; {batch} |",
        f"| Output | `probabilities`: float32 [N, {len(metadata.labels)}] |",
        f"| Photo | {_photo(metadata)} |",
        *_rows(metadata),
        "",
        "## Labels",
        "",
        *(f"{i}. {_plain(label)}" for i, label in enumerate(metadata.labels[:_MAX_LABELS_SHOWN])),
        *([f"... and {len(metadata.labels) - _MAX_LABELS_SHOWN} more, in edgefm.json."] * _too_many(metadata)),
        *_parity(metadata),
        *_notes(metadata),
        "",
        "## Made with",
        "",
        ", ".join(f"{name} {version}" for name, version in sorted(metadata.versions.items())) or "unknown",
        "",
    ]
    return "\n".join(lines)


def _too_many(metadata: Metadata) -> bool:
    return len(metadata.labels) > _MAX_LABELS_SHOWN


def _photo(metadata: Metadata) -> str:
    photo = metadata.photo
    return f"mode {photo.mode}, background {photo.background}, fill {photo.fill}"


def _rows(metadata: Metadata) -> list[str]:
    rows = []
    graph = metadata.graph or {}
    size = ", ".join(
        f"{graph[key]:,} {unit}"
        for key, unit in (
            ("bytes", "bytes"),
            ("parameters", "parameters"),
            ("macs", "multiply-accumulates an image"),
            ("nodes", "nodes"),
        )
        if isinstance(graph.get(key), int)
    )
    if size:
        rows.append(f"| Size | {size} |")
    accuracy = metadata.accuracy
    if accuracy is not None:
        rows.append(f"| Accuracy | {accuracy['value']:.4f} on {accuracy['n']} images ({_plain(accuracy['dataset'])}) |")
    training = metadata.training or {}
    data: Mapping[str, Any] = training.get("data") or {}
    if data.get("name"):
        rows.append(f"| Trained on | {_plain(data['name'])} (SHA-256 {str(data.get('hash', '?'))[:16]}) |")
    if training.get("recipe_hash"):
        seed = f", seed {training['seed']}" if isinstance(training.get("seed"), int) else ""
        rows.append(f"| Recipe | SHA-256 {str(training['recipe_hash'])[:16]}{seed} |")
    if metadata.source:
        rows.append(f"| Made from | {_plain(metadata.source['name'])} (SHA-256 {metadata.source['sha256'][:16]}) |")
    quantization = metadata.quantization
    if quantization:
        rows += [f"| Quantization: {_plain(k)} | {_value(v)} |" for k, v in quantization.items()]
    return rows


def _parity(metadata: Metadata) -> list[str]:
    parity = metadata.parity
    if not parity:
        return []
    lines = [
        "",
        "## Proof",
        "",
        f"On {parity['n']} images ({_plain(parity['dataset'])}) beside the original, run by {parity['engine']}:",
        "",
        "| Check | Value | Limit |",
        "|---|---:|---:|",
        *(f"| {c['name']} | {c['value']:.6g} | {c['limit']:.6g} |" for c in parity["checks"]),
    ]
    if parity["drop_points"] is not None:
        low, high = parity["drop_ci95"]
        lines += [
            "",
            f"Accuracy {parity['accuracy']:.4f}, original {parity['accuracy_reference']:.4f}: a drop of "
            f"{parity['drop_points']:.2f} points (95% interval {low:.2f} to {high:.2f}).",
        ]
    return lines


def _notes(metadata: Metadata) -> list[str]:
    notes = (metadata.source or {}).get("notes") or ()
    return ["", "## Notes", "", *(f"- {_plain(note)}" for note in notes)] if notes else []


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(v) for v in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{_plain(k)}: {_plain(v)}" for k, v in value.items())
    return _plain(value)


def _plain(value: object) -> str:
    """`value` on one line, with nothing that Markdown would take for a table's end."""
    return " ".join(str(value).split()).replace("|", "\\|")
