"""The table of formats and precisions, and what people type to select from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_fm_export.browser_runtime.package import cached_file
from edge_fm_export.planning import artifact_name, plan
from edge_fm_export.targets import (
    BUILDERS,
    FORMAT_ENTRIES,
    USUAL_PRECISIONS,
    Target,
    find_builder,
    find_embed,
    parse_targets,
)
from edge_fm_runtime.artifacts.metadata import FORMATS
from edge_fm_runtime.engines import ENGINES
from edge_fm_runtime.errors import ExportError

USUAL = tuple(t for t in BUILDERS if t.precision in USUAL_PRECISIONS)
"""What "all" and "all" mean."""


@pytest.mark.parametrize("target", BUILDERS, ids=str)
def test_each_target_has_a_builder_and_its_format_an_embedder(target: Target) -> None:
    assert callable(find_builder(target))
    assert callable(find_embed(target.format))


def test_each_format_has_an_engine_for_its_gate() -> None:
    from edge_fm_export.engines import REFERENCE_ENGINES

    assert set(FORMAT_ENTRIES) == set(FORMATS)
    assert {entry.engine for entry in FORMAT_ENTRIES.values()} <= {*ENGINES, *REFERENCE_ENGINES}


def test_all_means_every_pair_that_exists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEFM_WEB_RUNTIME", str(tmp_path / "package.tgz"))
    assert parse_targets("all", "all") == USUAL
    assert parse_targets("savedmodel", "all") == (Target("savedmodel", "fp32"),)
    assert parse_targets("all", "int8") == tuple(t for t in BUILDERS if t.precision == "int8")


def test_web_is_part_of_all_where_its_package_is_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("EDGEFM_WEB_RUNTIME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    without = tuple(t for t in USUAL if t.format != "web")
    assert parse_targets("all", "all") == without
    assert parse_targets("all,web", "all") == USUAL
    assert parse_targets("web") == (Target("web", "fp32"),)
    file = cached_file()
    assert file is not None
    file.parent.mkdir(parents=True)
    file.touch()
    assert parse_targets("all", "all") == USUAL


def test_w8a16_is_built_where_it_is_named_alone() -> None:
    target = Target("litert", "w8a16")
    assert parse_targets("litert", "w8a16") == parse_targets("all", "w8a16") == (target,)
    assert target not in parse_targets("litert", "all")
    assert target in parse_targets("litert", ["all", "w8a16"])


@pytest.mark.parametrize("format_", [name for name in FORMATS if name != "litert"])
def test_w8a16_of_another_format_is_refused_with_the_one_that_has_it(format_: str) -> None:
    with pytest.raises(ExportError, match=f"There is no {format_} w8a16; .*litert fp32, fp16, int8, w8a16") as caught:
        parse_targets(format_, "w8a16")
    hint = caught.value.hint or ""
    assert "edgefm export --format litert --precision w8a16, or --format" in hint
    (other,) = re.findall(r"or --format (\w+) --precision (\w+)$", hint)
    assert parse_targets(*other)


def test_lists_are_taken_in_any_spelling_and_without_doubles() -> None:
    want = (Target("onnx", "fp32"), Target("openvino", "fp32"))
    assert parse_targets("openvino, ONNX,onnx") == parse_targets(["onnx", "openvino"], ["fp32"]) == want


def test_a_pair_that_does_not_exist_is_refused_with_the_list_of_those_that_do() -> None:
    with pytest.raises(ExportError, match="savedmodel int8") as caught:
        parse_targets("savedmodel", "int8")
    assert "openvino fp32, fp16, int8" in str(caught.value)


@pytest.mark.parametrize(("formats", "precisions"), [("onix", "fp32"), ("onnx", "fp23"), ("", "fp32"), (",", "fp32")])
def test_unknown_names_are_refused(formats: str, precisions: str) -> None:
    with pytest.raises(ExportError, match="supported"):
        parse_targets(formats, precisions)


def test_a_near_miss_is_named() -> None:
    with pytest.raises(ExportError, match="--format onnx"):
        parse_targets("onix")


@pytest.mark.needs("tensorflow", "tf2onnx", "onnx")
def test_a_plan_says_what_would_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("onnx", "int8")
    planned = plan([target], name="m")[0]
    assert (planned.folder, planned.ready, planned.missing) == ("m-onnx-int8", True, ())
    assert planned.folder == artifact_name("m", target)
    monkeypatch.setattr(
        "edge_fm_export.planning.missing_packages", lambda names: tuple(n for n in names if n == "onnx")
    )
    assert plan([target])[0].missing == ("onnx",)
