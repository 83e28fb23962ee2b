"""The model card: a description of an artifact for people, made from its metadata alone."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from edge_fm_export.documents.browsers import browser_lines
from edge_fm_export.documents.microcontrollers import microcontroller_lines
from edge_fm_runtime.artifacts.metadata import Metadata

CARD_FILE = "README.md"
_MAX_LABELS_SHOWN = 100
_MARKUP = re.compile(r"[\\`*\[\]<>|&~$#]|!(?=\[)|(?<![^\W_])_|_(?![^\W_])|^[-+=](?=\s|[-=]|$)")
"""Characters that Markdown may take for markup; GitHub's tables, strikethrough and formulas too."""
_SCHEME = re.compile(r"\b(https?|ftp|mailto|javascript|data|vbscript|file|www)(:|\.)", re.IGNORECASE)


def model_card(metadata: Metadata) -> str:
    """Write the model card; the same metadata gives the same text."""
    spec = metadata.input
    batch = "any batch" if spec.batch is None else f"batches of {spec.batch}"
    lines = [
        *_header(metadata),
        f"# {_plain(metadata.name)}",
        "",
        f"{_kind(metadata)}, exported by EdgeFM as {metadata.format} at {metadata.precision}.",
        "",
        "```",
        f"edgefm infer photo.jpg --model {_word(metadata.name)}",
        f"edgefm verify {_word(metadata.name)}",
        "```",
        "",
        "| | |",
        "|---|---|",
        f"| File | {_code(metadata.payload)} |",
        f"| Input | {_code(spec.name)}: uint8 pixels [N, {spec.height}, {spec.width}, {spec.channels}] "
        f"({spec.colour}), 0..255 as they are; {batch} |",
        f"| Output | `probabilities`: float32 [N, {len(metadata.labels)}] |",
        f"| Photo | {_photo(metadata)} |",
        *_rows(metadata),
        "",
        "## Labels",
        "",
        *(f"{i}. {_plain(label)}" for i, label in enumerate(metadata.labels[:_MAX_LABELS_SHOWN])),
        *([f"... and {len(metadata.labels) - _MAX_LABELS_SHOWN} more, in edgefm.json."] * _too_many(metadata)),
        *browser_lines(metadata, _word(metadata.name)),
        *microcontroller_lines(metadata),
        *_parity(metadata),
        *_scores(metadata),
        *_notes(metadata),
        "",
        "## Made with",
        "",
        ", ".join(f"{_plain(name)} {_plain(version)}" for name, version in sorted(metadata.versions.items()))
        or "unknown",
        "",
    ]
    return "\n".join(lines)


def _header(metadata: Metadata) -> list[str]:
    """The YAML header that Hugging Face's hub reads (hub documentation, Model Cards: Model card metadata)."""
    lines = [
        "---",
        "library_name: edge-fm",
        "pipeline_tag: image-classification",
        "tags:",
        *(f"- {_yaml(tag)}" for tag in ("edge-fm", metadata.format, metadata.precision)),
    ]
    accuracy = metadata.accuracy
    if accuracy is not None:
        lines += [
            "metrics:",
            f"- {_measure(metadata)}",
            "model-index:",
            f"- name: {_yaml(metadata.name)}",
            "  results:",
            "  - task:",
            "      type: image-classification",
            "    dataset:",
            f"      name: {_yaml(accuracy['dataset'])}",
            f"      type: {_yaml(accuracy['dataset'])}",
            "    metrics:",
            f"    - type: {_measure(metadata)}",
            f"      value: {json.dumps(accuracy['value'])}",
        ]
    return [*lines, "---", ""]


def _kind(metadata: Metadata) -> str:
    if metadata.task is None:
        return f"An image classifier for {len(metadata.labels)} classes"
    return f"A multi-label image classifier: any of its {len(metadata.labels)} labels may apply to an image"


def _measure(metadata: Metadata) -> str:
    """What the recorded accuracy measures: "accuracy", or "mAP" of a multi-label model."""
    return str((metadata.accuracy or {}).get("measure") or "accuracy")


def _yaml(text: str) -> str:
    """`text` as a double-quoted YAML scalar on one line (YAML 1.2, section 5.7: escapes)."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(
        c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in quoted
    )


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
        name = "Accuracy" if metadata.task is None else _plain(_measure(metadata))
        rows.append(f"| {name} | {accuracy['value']:.4f} on {accuracy['n']} images ({_plain(accuracy['dataset'])}) |")
    training = metadata.training or {}
    data: Mapping[str, Any] = training.get("data") or {}
    if data.get("name"):
        rows.append(f"| Trained on | {_plain(data['name'])} (SHA-256 {_plain(str(data.get('hash', '?'))[:16])}) |")
    if training.get("recipe_hash"):
        seed = f", seed {training['seed']}" if isinstance(training.get("seed"), int) else ""
        rows.append(f"| Recipe | SHA-256 {_plain(str(training['recipe_hash'])[:16])}{seed} |")
    drift = metadata.drift
    if drift is not None:
        rows.append(f"| `edgefm drift` compares with | {drift['n']} images ({_plain(drift['dataset'])}) |")
    if metadata.source:
        name, digest = _plain(metadata.source["name"]), _plain(metadata.source["sha256"][:16])
        rows.append(f"| Made from | {name} (SHA-256 {digest}) |")
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
        f"On {parity['n']} images ({_plain(parity['dataset'])}) beside the original, run by "
        f"{_plain(parity['engine'])}:",
        "",
        "| Check | Value | Limit |",
        "|---|---:|---:|",
        *(f"| {_plain(c['name'])} | {c['value']:.6g} | {c['limit']:.6g} |" for c in parity["checks"]),
    ]
    if parity.get("golden_images") == "generated":
        lines += ["", "The images in `golden.npz` are generated: none of them is of the evaluation set."]
    if parity["drop_points"] is not None:
        low, high = parity["drop_ci95"]
        name, key = ("Accuracy", "accuracy") if metadata.task is None else ("mAP", "map")
        ours, original = parity[key], parity[f"{key}_reference"]
        lines += [
            "",
            f"{name} {ours:.4f}, original {original:.4f}: a drop of "
            f"{parity['drop_points']:.2f} points (95% interval {low:.2f} to {high:.2f}).",
        ]
    return lines


def _scores(metadata: Metadata) -> list[str]:
    scores = metadata.scores or {}
    lines = [*_calibration(scores), *_thresholds(scores.get("rejection") or {}), *_label_thresholds(metadata)]
    return ["", "## Scores", *lines] if lines else []


def _calibration(scores: Mapping[str, Any]) -> list[str]:
    before, after = scores.get("before") or {}, scores.get("after") or {}
    names = {"calibration_error": "Expected calibration error", "loss": "Loss", "brier": "Brier score"}
    rows = [
        f"| {name} | {before[key]:.4f} | {after[key]:.4f} |"
        for key, name in names.items()
        if before.get(key) is not None and after.get(key) is not None
    ]
    if scores.get("temperature") is None or not rows:
        return []
    return [
        "",
        f"The logits are divided by {scores['temperature']:.4g} in the graph{_measured_on(scores)}, "
        f"{scores.get('bins', 15)} bins:",
        "",
        "| | Before | After |",
        "|---|---:|---:|",
        *rows,
    ]


def _thresholds(rejection: Mapping[str, Any]) -> list[str]:
    if not rejection.get("table"):
        return []
    threshold = rejection.get("threshold")
    auto = (
        f"is {threshold:g}" if threshold is not None else f"has none ({_plain(rejection.get('reason') or 'unknown')})"
    )
    lines = [
        "",
        f"`--min-score auto` {auto}{_measured_on(rejection)}:",
        "",
        "| Threshold | Labelled | Of these right | Other things labelled |",
        "|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['threshold']:g} | {_share(row['coverage'])} | {_share(row.get('accuracy'))} | "
        f"{_share(row.get('others_accepted'))} |"
        for row in rejection["table"]
    ]
    groups = [
        f"{_plain(group['name'])} ({group['n']} images): {_share(group.get('accepted'))}"
        for group in rejection.get("others") or ()
    ]
    return [*lines, "", f"Other things that get a label: {'; '.join(groups)}."] if groups else lines


def _label_thresholds(metadata: Metadata) -> list[str]:
    recorded = (metadata.scores or {}).get("label_thresholds")
    if not recorded:
        return []
    shown = list(zip(metadata.labels, recorded["values"], strict=True))[:_MAX_LABELS_SHOWN]
    return [
        "",
        f"A label applies from its threshold on, the one with the best F1{_measured_on(recorded)}:",
        "",
        "| Label | Threshold |",
        "|---|---:|",
        *(f"| {_plain(label)} | {value:.4f} |" for label, value in shown),
    ]


def _measured_on(section: Mapping[str, Any]) -> str:
    n, dataset = section.get("n"), section.get("dataset")
    return f"; measured on {n} images ({_plain(dataset)})" if n and dataset else ""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def _notes(metadata: Metadata) -> list[str]:
    notes = (metadata.source or {}).get("notes") or ()
    return ["", "## Notes", "", *(f"- {_plain(note)}" for note in notes)] if notes else []


def _value(value: object) -> str:
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return "; ".join(_value(v) for v in value)
    if isinstance(value, list):
        return ", ".join(_plain(v) for v in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{_plain(k)}: {_value(v)}" for k, v in value.items())
    return _plain(value)


def _code(text: str) -> str:
    """`text` as code where it can be; Markdown has no escapes inside code."""
    return f"`{text}`" if text.isprintable() and text.strip() == text and not set(text) & set("`|") else _plain(text)


def _word(name: str) -> str:
    """A name as a shell takes it, on one line, so that it cannot end the code block that it stands in."""
    return shlex.quote(" ".join(name.split()))


def _plain(value: object) -> str:
    """`value` on one line, shown by Markdown as it is: no markup, link, HTML, heading, list or table comes of it.

    Source: CommonMark 0.31, section 2.4 (backslash escapes); an underscore between letters or digits is none.
    """
    text = "".join(c if c.isprintable() else " " for c in str(value))
    text = _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return _SCHEME.sub(r"\1\\\2", text)
