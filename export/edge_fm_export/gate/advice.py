"""The options to try when an artifact failed its gate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_fm_export.context import QuantizeOptions
from edge_fm_export.quantization.calibration import DEFAULT_SAMPLES
from edge_fm_export.quantization.explanation.explanation import Explanation, keep_float_options
from edge_fm_export.targets import Target
from edge_fm_runtime.artifacts.metadata import EXTRA_OUTPUTS
from edge_fm_runtime.parity.checks import Check

_MANY_SAMPLES = 1000


def gate_advice(
    checks: Sequence[Check],
    target: Target,
    quantize: QuantizeOptions,
    *,
    calibrated: int = 0,
    explanation: Explanation | None = None,
) -> str:
    """The options that get a failed artifact through its gate: a better conversion first, then limits that it keeps.

    Args:
        checks: of its gate.
        target: format and precision of the artifact.
        quantize: how it was quantized.
        calibrated: the number of images that calibrated int8 or w8a16.
        explanation: of the quantized model, if there is one.

    Example:
        >>> failed = Check("drop_points", 3.21, 0.5, passed=False)
        >>> gate_advice([failed], Target("onnx", "int8"), QuantizeOptions(accuracy_control=True), calibrated=300)
        'Try --samples 1000 or --precision fp16. To accept it as it is: --max-drop 3.3'
    """
    failed = [check for check in checks if not check.passed]
    # With fewer images than the usual number there are no more.
    more = [f"--samples {_MANY_SAMPLES}"] if DEFAULT_SAMPLES <= calibrated < _MANY_SAMPLES else []
    better = {
        "int8": [
            *_measured(explanation),
            # LiteRT's converter, which makes models for TFLM too, has no accuracy control.
            *([] if quantize.accuracy_control or target.format in ("litert", "tflm") else ["--accuracy-control"]),
            *more,
            *(["--precision w8a16"] if target.format == "litert" else []),
            "--format litert --precision fp16" if target.format == "tflm" else "--precision fp16",
        ],
        "w8a16": [*more, "--precision fp16"],
        "fp16": ["--precision fp32"],
        "fp32": [],
    }[target.precision]
    parts = [f"Try {_either(better)}."] if better else []
    if extra := [check for check in failed if _is_extra(check)]:
        names = dict.fromkeys(check.name.removesuffix("_batch1").rpartition("_")[2] for check in extra)
        parts.append(f"Without {' and '.join(names)}: leave --outputs out.")
        failed = [check for check in failed if check not in extra]
    accept = [option for option in map(_accepting, failed) if option is not None]
    if not failed:
        return " ".join(parts)
    if len(accept) == len(failed):
        parts.append(f"To accept it as it is: {' '.join(accept)}")
    else:
        parts.append("Its predictions depend on the other images of a batch: --static-batch 1 predicts one at a time.")
    return " ".join(parts)


def _measured(explanation: Explanation | None) -> list[str]:
    """The options with which the explanation's own trial stayed within the limit."""
    wanted = () if explanation is None else explanation.wanted
    return [keep_float_options(wanted)] if wanted else []


def _is_extra(check: Check) -> bool:
    """Whether the check is of an output beside the probabilities."""
    return check.name.removesuffix("_batch1").endswith(tuple(f"_{name}" for name in EXTRA_OUTPUTS))


def _accepting(check: Check) -> str | None:
    """The option under which `check` would pass; None where there is none."""
    if check.name in ("top1_agreement", "label_agreement"):
        return f"--min-agreement {math.floor(1e4 * check.value) / 1e4:g}"
    if check.name == "drop_points":
        return f"--max-drop {max(0.0, math.ceil(10 * check.value) / 10):g}"
    if check.name == "max_abs_diff":
        exponent = math.floor(math.log10(check.value)) if check.value > 0 else 0
        return f"--max-diff {math.ceil(check.value / 10.0**exponent) * 10.0**exponent:.0e}"
    return None


def _either(options: Sequence[str]) -> str:
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"
