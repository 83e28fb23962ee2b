"""Names and labels in a model card are shown as they are, whatever they hold."""

from __future__ import annotations

import html
import re

import pytest
from markdown_it import MarkdownIt

from edge_fm_export.documents.card import model_card
from edge_fm_runtime.artifacts.metadata import InputSpec, Metadata

HOSTILE = [
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "![x](https://example.com/x.png)",
    "<https://example.com>",
    "a | b",
    "`code`",
    "*bold* _it_ ~~gone~~",
    "snake_case_name",
    "# heading",
    "- item",
    "&lt;b&gt;",
    "back\\slash",
    "$x^2$",
    "T-shirt/top",
    "Größe, été",
]
ALLOWED = {"h1", "h2", "p", "pre", "code", "table", "thead", "tbody", "tr", "th", "td", "ol", "ul", "li"}


def parts(text: str) -> tuple[str, str]:
    """The YAML header and the text below it."""
    begin, header, body = text.split("---\n", 2)
    assert not begin
    return header, body


def rendered(text: str) -> str:
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(parts(text)[1]))


def card(label: str) -> str:
    return model_card(
        Metadata(
            name="net",
            format="onnx",
            precision="int8",
            payload="model.onnx",
            input=InputSpec(4, 4, 1),
            labels=(label, "other"),
            training={"data": {"name": label, "hash": label}, "recipe_hash": label},
            accuracy={"value": 0.5, "n": 2, "dataset": label},
            quantization={label: label, "kept_float": [label]},
            source={"name": label, "sha256": label, "notes": [label]},
            versions={label: label},
            parity={
                "n": 2,
                "dataset": label,
                "engine": label,
                "checks": [{"name": label, "value": 1, "limit": 1}],
                "drop_points": None,
            },
        )
    )


@pytest.mark.parametrize("label", HOSTILE)
def test_a_label_is_no_markup(label: str) -> None:
    page = rendered(card(label))
    assert set(re.findall(r"<(\w+)", page)) <= ALLOWED, page
    shown = [html.unescape(cell) for cell in re.findall(r"<li>(?:<p>)?(.*?)(?:</p>)?</li>", page)]
    assert label in shown
    assert page.count("<h1>") == 1
    assert page.count("<table>") == rendered(card("plain")).count("<table>")


@pytest.mark.parametrize("label", ["two\nlines", "```\nfenced", "a\x1b[2Jb", "\u202eright to left"])
def test_a_label_stays_on_its_line(label: str) -> None:
    text = card(label)
    assert "\x1b" not in text and "\u202e" not in text
    assert text.count("\n") == card("plain").count("\n")
    assert set(re.findall(r"<(\w+)", rendered(text))) <= ALLOWED


@pytest.mark.parametrize("name", ["net\n```\n<script>", "$(reboot)", "a; b", "; rm -rf x"])
def test_a_name_cannot_leave_the_command_that_a_person_pastes(name: str) -> None:
    import shlex

    text = model_card(Metadata(name, "onnx", "fp32", "model.onnx", InputSpec(4, 4, 1), ("a", "b")))
    block = text.split("```\n")[1]
    first, second = block.splitlines()
    assert shlex.split(first) == ["edgefm", "infer", "photo.jpg", "--model", " ".join(name.split())]
    assert shlex.split(second) == ["edgefm", "verify", " ".join(name.split())]


@pytest.mark.needs("yaml")
@pytest.mark.parametrize(
    "text", [*HOSTILE, "two\nlines", "---", "a: b", "\u0085\u2028", "\U0001f600", 'quo"te', "\U000e0001"]
)
def test_the_header_says_what_hugging_face_reads(text: str) -> None:
    import yaml

    header = yaml.safe_load(parts(card(text))[0])
    assert header["library_name"] == "edge-fm"
    assert header["pipeline_tag"] == "image-classification"
    assert header["tags"] == ["edge-fm", "onnx", "int8"]
    assert header["metrics"] == ["accuracy"]
    (model,) = header["model-index"]
    assert model["name"] == "net"
    (result,) = model["results"]
    assert result["task"] == {"type": "image-classification"}
    assert result["dataset"] == {"name": text, "type": text}
    assert result["metrics"] == [{"type": "accuracy", "value": 0.5}]


@pytest.mark.needs("huggingface_hub")
def test_hugging_face_s_own_library_reads_it() -> None:  # pragma: no cover - it is not among the dependencies
    from huggingface_hub import ModelCard

    data = ModelCard(card("mini test")).data
    assert data.pipeline_tag == "image-classification"
    (result,) = data.eval_results
    assert (result.dataset_name, result.metric_type, result.metric_value) == ("mini test", "accuracy", 0.5)


def test_without_an_accuracy_there_is_none_in_the_header() -> None:
    text = model_card(Metadata("net", "onnx", "fp32", "model.onnx", InputSpec(4, 4, 1), ("a", "b")))
    assert "metrics" not in parts(text)[0]
