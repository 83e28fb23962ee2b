"""Usage reports of third-party libraries, switched off for every process that imports EdgeFM.

The libraries decide when they are imported, so this runs when `edge_fm_runtime` is imported: before any code of ours,
in this process or a child of it, can import one of them. A program that imports a library before EdgeFM keeps its own
setting for that library.
"""

from __future__ import annotations

import os
import sys

_OPENVINO_REPORTS = "openvino_telemetry"


def switch_off_usage_reports() -> None:
    """Switch off what onnxruntime, OpenVINO, NNCF and Ray would report about this machine and its use of them.

    - onnxruntime (1.31.1 and 1.32.0 on Linux) writes a device identifier and a database of events to the user's cache
      folder and uploads them. The environment variable is read when it is imported; `disable_telemetry_events()` comes
      too late for that.
    - OpenVINO and NNCF send events through the package openvino_telemetry where it is installed, from a process that
      they fork; where it cannot be imported, they go without.
    - Ray sends usage statistics from the head of a cluster; the processes that it starts take over the variable.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if "openvino" not in sys.modules:
        sys.modules.setdefault(_OPENVINO_REPORTS, None)  # type: ignore[arg-type]  # its import is an ImportError
