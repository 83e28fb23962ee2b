"""`export --bom` puts the bill of materials among the files that `edgefm.json` and the signature cover."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from exporting import export
from tiny_models import TINY_SHAPES, tiny_set

from edge_fm_export.documents.bom import BOM_FILE
from edge_fm_export.targets import parse_targets
from edge_fm_runtime.artifacts.artifact import load_artifact

if TYPE_CHECKING:
    from edge_fm_export.context import SourceModel

pytestmark = [pytest.mark.slow, pytest.mark.needs("cyclonedx", "jsonschema")]


@pytest.mark.parametrize("bom", [True, False])
def test_the_bill_is_one_of_the_files(bom: bool, tiny_sources: dict[str, SourceModel], tmp_path: Path) -> None:
    images = tiny_set(TINY_SHAPES["grey"], 200, seed=2)
    report = export(tiny_sources["grey"], parse_targets("onnx", "fp32"), tmp_path, test=images, bom=bom)
    opened = load_artifact(report.results[0].path)
    assert (BOM_FILE in opened.metadata.files) is bom
    assert (opened.path / BOM_FILE).exists() is bom
    if bom:
        content = json.loads((opened.path / BOM_FILE).read_text("utf-8"))
        files = {one["name"]: one["hashes"][0]["content"] for one in content["metadata"]["component"]["components"]}
        assert files == {n: e.sha256 for n, e in opened.metadata.files.items() if n != BOM_FILE}
