"""A server as an engine: the artifact as Triton, another model server or `edgefm serve` runs it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, Literal, TypeAlias, get_args
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import numpy as np

from edge_fm.serving.client.deadline import call_within
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.artifacts.artifact import Artifact
from edge_fm_runtime.artifacts.metadata import PROBABILITIES
from edge_fm_runtime.engines.base import Engine, EngineOptions
from edge_fm_runtime.engines.outputs import Outputs
from edge_fm_runtime.errors import EngineError

ServerApi: TypeAlias = Literal["kserve", "tfserving"]
"""kserve: the Open Inference Protocol, REST (`/v2/models/NAME/infer`); tfserving: `/v1/models/NAME:predict`."""
SERVER_APIS: tuple[ServerApi, ...] = get_args(ServerApi)
TIMEOUT_S = 60.0
"""Seconds for one response, if nothing else is asked for."""
_MOST_BYTES = 64 << 20
"""Of a response; what is larger is not read."""
_SHOWN = 300
"""Characters of a server's error message that are repeated."""


class RemoteEngine(Engine):
    """Sends pixels to a server and returns its probabilities.

    Attributes:
        url: address of the server, such as http://localhost:8000.
        model: name of the model there.
    """

    name = "server"
    device = "as the server decides"
    precision = "as the server decides"
    threads = 0

    def __init__(
        self,
        artifact: Artifact,
        url: str,
        *,
        model: str,
        version: int | None = None,
        api: ServerApi = "kserve",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Take over what the artifact says of its tensors; nothing is sent yet.

        Args:
            artifact: what the server is expected to run.
            url: http:// or https:// address, without a path.
            model: name of the model there.
            version: its version; None for the one that the server takes.
            api: how the server is spoken to.
            timeout_s: seconds for one response, from the look-up of the server's name to the last byte.

        Raises:
            EngineError: the address is not of a server.
        """
        super().__init__(artifact, EngineOptions())
        if not _is_address(url):
            raise EngineError(
                f"{_without_password(url)!r} is not the address of a server; supported is http://HOST:PORT or https://HOST:PORT.",
                hint="For instance: --server http://localhost:8000",
            )
        parts = urlsplit(url)
        self.url, self.model = f"{parts.scheme}://{parts.netloc}", model
        self._api, self._metadata = api, artifact.metadata
        self._timeout_s = timeout_s
        where = quote(model, safe="")
        if api == "kserve":
            self._path = f"/v2/models/{where}" + (f"/versions/{version}" if version else "") + "/infer"
        else:
            self._path = f"/v1/models/{where}" + (f"/versions/{version}" if version else "") + ":predict"

    def infer(self, batch: Pixels, /) -> Probabilities:
        return self.infer_outputs(batch)[PROBABILITIES]

    def infer_outputs(self, batch: Pixels, /) -> Outputs:
        """Send one batch; every output that the artifact records comes back."""
        with self._calls:
            shapes: dict[str, tuple[int, ...]] = {PROBABILITIES: (len(self._metadata.labels),)}
            shapes |= {output.name: output.shape for output in self._metadata.extra_outputs}
            if self._api == "kserve":
                answered = _kserve_outputs(self._post(self._kserve_body(batch, list(shapes))), list(shapes))
            else:
                body = {"inputs": {self._metadata.input.name: batch.tolist()}}
                answered = _tfserving_outputs(self._post(body), list(shapes))
            return {name: self._array(name, answered.get(name), (len(batch), *shape)) for name, shape in shapes.items()}

    def close(self) -> None:
        """Refuse later calls; there is nothing to release."""
        self._calls.close()

    def _kserve_body(self, batch: Pixels, outputs: list[str]) -> dict[str, Any]:
        return {
            "inputs": [
                {
                    "name": self._metadata.input.name,
                    "shape": list(batch.shape),
                    "datatype": "UINT8",
                    "data": batch.reshape(-1).tolist(),
                }
            ],
            "outputs": [{"name": name} for name in outputs],
        }

    def _post(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        request = Request(
            self.url + self._path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        try:
            content = call_within(self._timeout_s, lambda: self._respond(request))
        except TimeoutError as error:
            raise EngineError(
                f"{request.full_url} has not responded within {self._timeout_s:g} seconds.",
                hint=f"Is it still starting? Give it longer: --timeout {10 * self._timeout_s:g}",
            ) from error
        if len(content) > _MOST_BYTES:
            raise EngineError(f"{request.full_url} responded with more than {_MOST_BYTES} bytes.")
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise EngineError(f"{request.full_url} did not respond with JSON: {error}") from error
        if not isinstance(found, dict):
            raise EngineError(f"{request.full_url} responded with a JSON {type(found).__name__}, not with an object.")
        return found

    def _respond(self, request: Request) -> bytes:
        """The content of a response.

        Raises:
            EngineError: the server reports an error, or cannot be reached.
            TimeoutError: a step of it took too long.
        """
        try:
            with build_opener(_NoRedirects).open(request, timeout=self._timeout_s) as response:
                return bytes(response.read(_MOST_BYTES + 1))
        except HTTPError as error:
            said = error.read(_MOST_BYTES).decode("utf-8", "replace").strip()
            raise EngineError(
                f"{request.full_url} responded with {error.code} {error.reason}: {said[:_SHOWN]}",
                hint="Is this the model's name on that server (--model-name), and its API (--server-api)?",
            ) from error
        except (OSError, URLError, HTTPException, UnicodeError) as error:  # UnicodeError: a name with an empty label
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, TimeoutError):
                raise reason from error
            raise EngineError(
                f"{request.full_url} cannot be reached: {reason}",
                hint="Start the server, or name its address and HTTP port: --server http://HOST:PORT",
            ) from error

    def _array(self, name: str, values: Any, shape: tuple[int, ...]) -> Any:
        """An output as float32 of its shape.

        Raises:
            EngineError: the server did not return it, or as something else.
        """
        try:
            array = np.asarray(values, np.float32)
        except (TypeError, ValueError, OverflowError) as error:
            raise EngineError(f"{self.url}, model {self.model}: the output {name} is not numbers: {error}") from error
        if values is None or array.size != math.prod(shape):
            got = "missing" if values is None else f"{list(array.shape)}"
            raise EngineError(
                f"{self.url}, model {self.model}: the output {name} is {got}; the artifact has {list(shape)}.",
                hint="Does that server run this artifact, or another model of that name?",
            )
        if not np.isfinite(array).all():
            raise EngineError(
                f"{self.url}, model {self.model}: the output {name} has values that are no finite numbers.",
                hint="Is the artifact right here? edgefm verify ARTIFACT",
            )
        return array.reshape(shape)


def _is_address(url: str) -> bool:
    """Whether a text is http(s)://HOST or http(s)://HOST:PORT; names and passwords of users are not supported."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    more = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
    return bool(known) and not more and not any(character.isspace() for character in url)


def _without_password(url: str) -> str:
    return re.sub("//.*@", "//...@", url, flags=re.DOTALL)


class _NoRedirects(HTTPRedirectHandler):
    """A server that sends requests elsewhere is not the one that was named."""

    def redirect_request(self, *given: Any) -> None:
        return None


def _kserve_outputs(found: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    outputs = found.get("outputs")
    if not isinstance(outputs, list):
        return {}
    return {one["name"]: one.get("data") for one in outputs if isinstance(one, dict) and one.get("name") in names}


def _tfserving_outputs(found: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    """The values by the outputs' names; the only output comes without its name."""
    outputs = found.get("outputs")
    if isinstance(outputs, dict):
        return outputs
    return {names[0]: outputs} if len(names) == 1 and outputs is not None else {}
