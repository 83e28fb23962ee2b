"""`verify`: does an artifact still predict what the original does?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.api.common.places import select_artifact
from edge_fm.api.common.reading import Reading
from edge_fm_runtime.progress import MessageFn, ProgressFn, ignore_message, silent

if TYPE_CHECKING:
    from edge_fm.serving.client.remote_engine import ServerApi
    from edge_fm_runtime.artifacts.artifact import Artifact
    from edge_fm_runtime.engines import Engine
    from edge_fm_runtime.parity.verification import Verification


def verify(
    artifact: str | Path | None = None,
    *,
    against: str | Path | None = None,
    data: str | None = None,
    skip_unreadable: float | None = None,
    group: str | None = None,
    label_column: str | None = None,
    engine: str = "auto",
    device: str = "CPU",
    threads: int | None = None,
    signed_by: str | Path | None = None,
    server: str | None = None,
    model_name: str | None = None,
    model_version: int | None = None,
    server_api: ServerApi = "kserve",
    timeout_s: float | None = None,
    progress: ProgressFn = silent,
    note: MessageFn = ignore_message,
) -> Verification:
    """Check hashes and metadata, then replay the golden predictions, or compare with the original on a test set.

    Args:
        artifact: the artifact; None for the one that `edgefm infer` would take.
        against: a run, a Keras file or a trained model of the package to compare with; None for the golden predictions.
        data: source of the images for `against`; None for the run's own test split.
        skip_unreadable: share of a folder's images that may be left out; None for what the run's training left out.
        group: what images come from, which splits keep together: a column of a manifest, `FILE:COLUMN` of a file in
            an image folder, or a pattern of the paths; None for what the run's training said of the same source.
        label_column: column of a manifest that holds the labels; None for what it said, else to tell by the names.
        engine: library that runs the artifact.
        device: where to run; never replaced by another.
        threads: compute threads; None for as many as this process may use.
        signed_by: file of the public key that the artifact must be signed for; None for the one that the environment
            variable `EDGEFM_REQUIRE_SIGNATURE` names, else none is required.
        server: address of a server that runs the artifact, such as http://localhost:8000: its predictions are compared
            in place of those of an engine of this process.
        model_name: name of the model on that server; None for the artifact's.
        model_version: its version there; None for the one that the server takes.
        server_api: "kserve" for the Open Inference Protocol (Triton, OpenVINO Model Server, `edgefm serve`), or
            "tfserving".
        timeout_s: seconds that each response of the server may take, to its last byte; None for 60. A later one ends
            the check with an error.
        progress: called as work goes on.
        note: called with the choices that were made.

    Returns:
        The outcome; see its `passed`. A failed check is not raised.

    Raises:
        SignatureError: a signature is required and missing, the artifact is not as it was signed, or another key signed
            it.
        EdgeFMError: the artifact, the original or the images cannot be read, or do not fit each other.
    """
    from edge_fm.api.common.engines import ALL_ENGINES
    from edge_fm_runtime.artifacts.artifact import load_artifact
    from edge_fm_runtime.engines import EngineOptions, create_engine
    from edge_fm_runtime.errors import DataError, EngineError
    from edge_fm_runtime.parity.verification import verify_golden
    from edge_fm_runtime.signatures.bundle import SIGNATURE_FILE

    reading = Reading(skip_unreadable, group, label_column)
    if against is None and (data is not None or reading != Reading()):
        raise DataError(
            "Images were named for a check that carries its own: the golden predictions.",
            hint="Name the original too: edgefm verify ARTIFACT --against RUN --data SOURCE",
        )
    if server is not None and (engine, device, threads) != ("auto", "CPU", None):
        raise EngineError(
            f"Engine, device and threads are those of the server {server}; they cannot be set here.",
            hint="Leave --engine, --device and --threads out.",
        )
    if server is None and (model_name, model_version, server_api, timeout_s) != (None, None, "kserve", None):
        raise EngineError(
            "Options of a server were given, but no server.", hint="Name it too: --server http://HOST:PORT"
        )
    opened = load_artifact(str(select_artifact(artifact, note)), require_signature=signed_by)
    if opened.signed_by is None and (opened.path / SIGNATURE_FILE).exists():
        note(f"{opened.path} has a signature, which is not checked without the key: --signed-by PUBLIC_KEY")
    runner: Engine
    if server is not None:
        from edge_fm.serving.client.remote_engine import TIMEOUT_S, RemoteEngine

        name = opened.metadata.name if model_name is None else model_name
        seconds = TIMEOUT_S if timeout_s is None else timeout_s
        runner = RemoteEngine(opened, server, model=name, version=model_version, api=server_api, timeout_s=seconds)
    else:
        runner = create_engine(opened, engine, options=EngineOptions(device, threads), registry=ALL_ENGINES)
    try:
        if against is None:
            result = verify_golden(opened, runner)
        else:
            result = _against(opened, runner, against, data, reading, progress, note)
        return replace(result, signed_by=opened.signed_by)
    finally:
        runner.close()


def _against(
    artifact: Artifact,
    engine: Engine,
    against: str | Path,
    data: str | None,
    reading: Reading,
    progress: ProgressFn,
    note: MessageFn,
) -> Verification:
    from edge_fm.api.common.original import evaluation_data, load_original
    from edge_fm.models.records import trained_model
    from edge_fm_export.gate.gate import verify_against
    from edge_fm_export.gate.same_original import check_same_original

    original = load_original(trained_model(against), artifact.metadata)
    sets = evaluation_data(data, original, progress, reading=reading, note=note)
    result = verify_against(artifact, original, sets.test, engine, progress=progress)
    same = check_same_original(artifact, original, result.parity)
    if same is None:
        return result
    made_from = artifact.metadata.source or {}
    message = (
        f"{against} is not the file that {artifact.path} was exported from ({made_from.get('name')}): its SHA-256 is "
        f"{original.sha256[:16]}, not {str(made_from.get('sha256'))[:16]}. "
    )
    if same.passed:
        message += "Its predictions are the same, so it is that model, saved again."
    else:
        message += (
            f"Its predictions are others ({same.describe()}), so it is another model. Name the original: --against"
        )
    return replace(result, checks=(*result.checks, same), warnings=(*result.warnings, message))
