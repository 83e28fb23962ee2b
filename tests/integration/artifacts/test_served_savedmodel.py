"""A SavedModel in TensorFlow Serving's repository, run by TensorFlow behind an HTTP server that speaks its REST API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_fm
from edge_fm_export.results import ExportResult
from edge_fm_export.targets import Target
from edge_fm_runtime.errors import EngineError

pytestmark = pytest.mark.slow


@contextmanager
def tensorflow_serving(repository: Path, *, altered: bool = False) -> Iterator[str]:
    """Serve every version of the repository: `POST /v1/models/NAME[/versions/V]:predict`, columnar bodies alone."""
    import tensorflow as tf

    models = {
        path.parent.relative_to(repository).as_posix(): tf.saved_model.load(str(path.parent))
        for path in repository.glob("*/*/saved_model.pb")
    }

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name, _, version = self.path.removeprefix("/v1/models/").removesuffix(":predict").partition("/versions/")
            model = models.get(f"{name}/{version or 1}")
            if model is None:
                content, status = {"error": f"Servable not found for request: Latest({name})"}, 404
            else:
                signature = model.signatures["serving_default"]
                (field,) = signature.structured_input_signature[1]
                found = signature(**{field: tf.constant(np.array(body["inputs"][field], np.uint8))})
                values = {key: value.numpy().tolist() for key, value in found.items()}
                if altered:
                    values = {key: np.roll(value, 1, axis=1).tolist() for key, value in values.items()}
                # As the real one: the only output comes without its name.
                content, status = {"outputs": values if len(values) > 1 else next(iter(values.values()))}, 200
            encoded = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_repositorys_savedmodel_predicts_as_the_artifact(
    exported: Callable[[str, Target], ExportResult], tmp_path: Path
) -> None:
    artifact = exported("grey", Target("savedmodel", "fp32")).path
    made = edge_fm.write_model_repository(artifact, "tfserving", tmp_path)
    assert {f"{made.model}/1/saved_model.pb", f"{made.model}/1/edgefm.json", "models.config"} <= set(made.files)
    asked = {"model_name": made.model, "server_api": "tfserving"}
    with tensorflow_serving(tmp_path) as url:
        assert edge_fm.verify(artifact, server=url, **asked).passed
        assert edge_fm.verify(artifact, server=url, model_version=1, **asked).passed
        with pytest.raises(EngineError, match=r"404.*Servable not found"):
            edge_fm.verify(artifact, server=url, model_version=2, **asked)
    with tensorflow_serving(tmp_path, altered=True) as url:
        assert not edge_fm.verify(artifact, server=url, **asked).passed
