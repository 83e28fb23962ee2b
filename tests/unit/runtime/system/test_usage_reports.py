"""Nothing that is run here reports to anybody."""

import subprocess
import sys

import pytest

_RUN = """
import sys
{imports}
assert not [name for name in sys.modules if name.startswith("openvino_telemetry") and sys.modules[name] is not None]
assert "openvino" in sys.modules
"""


def _run(imports: str) -> None:
    # pytest itself would switch NNCF's reports off.
    subprocess.run([sys.executable, "-c", _RUN.format(imports=imports)], check=True)


@pytest.mark.needs("openvino")
def test_openvino_is_imported_without_its_usage_reports() -> None:
    _run("from edge_fm_runtime.engines.openvino_core import shared_core; shared_core()")


@pytest.mark.needs("openvino", "nncf")
def test_nncf_after_it_has_none_either() -> None:
    _run("from edge_fm_runtime.engines.openvino_core import shared_core; shared_core()\nimport nncf")
