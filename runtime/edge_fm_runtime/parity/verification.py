"""Replay golden predictions on the device's own engine: compare with the original without having it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.golden import GOLDEN_FILE, Golden, golden_of
from edge_fm_runtime.artifacts.metadata import METADATA_FILE
from edge_fm_runtime.engines.base import Engine, SupportsInfer, as_engine
from edge_fm_runtime.errors import ArtifactError
from edge_fm_runtime.parity.binomial import most_allowed
from edge_fm_runtime.parity.checks import Check, check_agreement, check_parity, default_limits
from edge_fm_runtime.parity.comparison import Parity
from edge_fm_runtime.parity.extra_outputs import compare_outputs
from edge_fm_runtime.parity.predictions import compare_predictions

_DEVICE_AGREEMENT = {"fp32": 0.9999, "fp16": 0.999, "int8": 0.95, "w8a16": 0.999}
_DEVICE_MAX_ABS_DIFF = {"fp32": 1e-3, "fp16": 0.05, "int8": 0.25, "w8a16": 0.05}
"""How far a device's predictions may be from the exporting machine's; integer kernels round in different places."""


_MOST_AT_ONCE, _PIXELS_AT_ONCE = 256, 8 << 20
"""Images and bytes of one batch: golden inputs of a third-party artifact must not decide how much memory is used."""


@dataclass(frozen=True)
class Verification:
    """The result of `edgefm verify`.

    Attributes:
        artifact: its path.
        engine: name of the engine that ran.
        device: the device that really ran.
        precision: the arithmetic that really ran.
        parity: the predictions compared with the original's.
        checks: every check with its limit.
        warnings: what a person should know before trusting the result, one sentence each.
        signed_by: SHA-256 (hex) of the PEM text of the public key that the artifact's signature holds for; None where
            no signature was required.
    """

    artifact: str
    engine: str
    device: str
    precision: str
    parity: Parity
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()
    signed_by: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """The object that `edgefm verify --json` prints."""
        return {
            "passed": self.passed,
            "artifact": self.artifact,
            "engine": self.engine,
            "device": self.device,
            "precision": self.precision,
            **self.parity.to_json(),
            "checks": [check.to_json() for check in self.checks],
            "warnings": list(self.warnings),
            "signed_by": self.signed_by,
        }


def verify_golden(artifact: Artifact, engine: Engine | SupportsInfer) -> Verification:
    """Replay the artifact's golden inputs, one by one and in batches.

    The predictions are compared with those of the exporting machine (the same payload must predict the same anywhere)
    and with the original model's. Some dozens of images cannot show an agreement of 99.9%, so agreement is checked by
    its exact interval, as the gate does (see `edge_fm_runtime.parity.comparison`).

    Raises:
        ArtifactError: the artifact carries no golden predictions.
    """
    file = artifact.path / GOLDEN_FILE
    if artifact.bare or GOLDEN_FILE not in artifact.metadata.files:
        raise ArtifactError(
            f"{artifact.path} carries no {GOLDEN_FILE}, so there is nothing to replay.",
            hint=f"Give the artifact's folder (with {METADATA_FILE} and {GOLDEN_FILE}), "
            "or compare with the original: edgefm verify ARTIFACT --against MODEL.keras --data SOURCE",
        )
    golden = golden_of(artifact)
    spec = artifact.metadata.input
    if golden.images.shape[1:] != spec.shape or golden.reference.shape[1] != len(artifact.metadata.labels):
        raise ArtifactError(
            f"{file}: images {list(golden.images.shape)} and predictions {list(golden.reference.shape)} do not fit the "
            f"model's input {list(spec.shape)} and {len(artifact.metadata.labels)} labels.",
            hint="Export the model again: edgefm export",
        )
    fixed = spec.batch
    engine = as_engine(engine, fixed_batch=fixed)
    distinct = _distinct(golden.images)
    several = max(1, min(_MOST_AT_ONCE, _PIXELS_AT_ONCE // golden.images[0].nbytes))
    at_once = engine.predict_all(golden.images, batch=several)
    metadata = artifact.metadata
    parity = compare_predictions(metadata, golden.reference[distinct], at_once[distinct])
    exported = golden.exported[distinct]
    checks = list(
        _checks_against_original(artifact, parity, compare_predictions(metadata, golden.reference[distinct], exported))
    )
    precision = metadata.precision
    runs = {"batch": at_once} if fixed else {"batch": at_once, "single": engine.predict_all(golden.images, batch=1)}
    for name, predictions in runs.items():
        same = compare_predictions(metadata, exported, predictions[distinct])
        limit = _DEVICE_MAX_ABS_DIFF[precision]
        checks += [
            check_agreement(same, _DEVICE_AGREEMENT[precision], name=f"_to_exported_{name}"),
            Check(f"max_abs_diff_to_exported_{name}", same.max_abs_diff, limit, same.max_abs_diff <= limit),
        ]
    checks += _checks_of_extra_outputs(artifact, engine, golden, distinct, several)
    return Verification(str(artifact.path), engine.name, engine.device, engine.precision, parity, tuple(checks))


def _checks_of_extra_outputs(
    artifact: Artifact, engine: Engine, golden: Golden, distinct: npt.NDArray[np.intp], batch: int
) -> list[Check]:
    """The gate's limits for outputs beside the probabilities, beside the original and the exporting machine."""
    if not golden.extra:
        return []
    for output in artifact.metadata.extra_outputs:
        shape = golden.extra[output.name].reference.shape[1:]
        if shape != output.shape:
            raise ArtifactError(
                f"{artifact.path / GOLDEN_FILE}: {output.name} {list(shape)} does not fit the model's "
                f"{list(output.shape)}.",
                hint="Export the model again: edgefm export",
            )
    found = engine.predict_outputs(golden.images[distinct], batch=batch)
    sides = {
        "": {name: pair.reference[distinct] for name, pair in golden.extra.items()},
        "_to_exported": {name: pair.exported[distinct] for name, pair in golden.extra.items()},
    }
    return [
        one.check(artifact.metadata.precision, suffix=suffix)
        for suffix, expected in sides.items()
        for one in compare_outputs([(expected, found)])
    ]


def _distinct(images: Pixels) -> npt.NDArray[np.intp]:
    """Positions of the images that occur for the first time: what fills up a fixed batch does not count twice."""
    first: dict[bytes, int] = {}
    for index, image in enumerate(np.ascontiguousarray(images)):
        first.setdefault(hashlib.blake2b(image.data, digest_size=16).digest(), index)
    return np.array(list(first.values()), dtype=np.intp)


def _checks_against_original(artifact: Artifact, parity: Parity, exported: Parity) -> tuple[Check, ...]:
    """The gate's limits where they fit a few dozen images.

    The other precisions may differ from the original as far as they did on the exporting machine, and in as many images
    more as a device may differ from that machine.
    """
    metadata = artifact.metadata
    if metadata.precision == "fp32":
        return check_parity(parity, default_limits(metadata.format, metadata.precision))
    more = most_allowed(parity.n, 1.0 - _DEVICE_AGREEMENT[metadata.precision])
    limit = max(0, exported.agreeing - more) / parity.n
    detail = f"{parity.describe_disagreement()}; {parity.n - exported.agreeing} did at export"
    return (Check(parity.agreement_name, parity.top1_agreement, limit, parity.top1_agreement >= limit, detail=detail),)
