"""The endpoints of the Open Inference Protocol (KServe v2, REST)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from edge_fm.serving.models import ServedModel
from edge_fm.serving.service import Call, Service
from edge_fm.serving.tensors import HEADER, INPUT, OUTPUT, read_request, write_response
from edge_fm_runtime import __version__

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

_EXTENSIONS = ["binary_tensor_data", "classification"]


def routes(service: Service) -> list[Route]:
    """The protocol's addresses, and the index of Triton's model repository extension."""
    from starlette.routing import Route

    found = [
        Route("/v2", service.open(_server, "server"), methods=["GET"]),
        Route("/v2/health/live", service.open(_live, "live", token=False), methods=["GET"]),
        Route("/v2/health/ready", service.open(_ready, "ready", token=False), methods=["GET"]),
        Route("/v2/models", service.open(_models, "models"), methods=["GET"]),
        Route("/v2/repository/index", service.open(_index, "index"), methods=["POST"]),
    ]
    for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        found += [
            Route(model, service.open(_model, "model"), methods=["GET"]),
            Route(f"{model}/ready", service.open(_model_ready, "model_ready"), methods=["GET"]),
            Route(f"{model}/infer", service.limited(_infer, "infer"), methods=["POST"]),
        ]
    return found


def model_of(service: Service, request: Request) -> ServedModel:
    """The model that a request's address names.

    Raises:
        Refusal: with status 404, there is none.
    """
    return service.models.find(request.path_params["name"], request.path_params.get("version"))


def _json(content: Any) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(content)


async def _server(service: Service, request: Request) -> Response:
    return _json({"name": "edgefm", "version": __version__, "extensions": _EXTENSIONS})


async def _live(service: Service, request: Request) -> Response:
    return _json({"live": True})


async def _ready(service: Service, request: Request) -> Response:
    return _json({"ready": True})  # it listens once every model is proven


async def _models(service: Service, request: Request) -> Response:
    return _json({"models": sorted({model.name for model in service.models})})


async def _index(service: Service, request: Request) -> Response:
    return _json([{"name": one.name, "version": one.version, "state": "READY", "reason": ""} for one in service.models])


async def _model(service: Service, request: Request) -> Response:
    model = model_of(service, request)
    artifact = model.generation.classifier.artifact
    metadata = artifact.metadata
    return _json(
        {
            "name": model.name,
            "versions": service.models.versions(model.name),
            "platform": f"edgefm_{metadata.format}",
            "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *metadata.input.shape]}],
            "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(metadata.labels)]}],
            "parameters": {
                "artifact": metadata.name,
                "precision": metadata.precision,
                "labels": list(metadata.labels),
                "payload_sha256": artifact.payload_hash(),
            },
        }
    )


async def _model_ready(service: Service, request: Request) -> Response:
    model = model_of(service, request)
    return _json({"name": model.name, "ready": True})


async def _infer(service: Service, request: Request, call: Call) -> Response:
    from starlette.responses import Response

    model = model_of(service, request)
    body = await call.body(request)
    json_bytes = request.headers.get(HEADER)
    with model.use() as generation:
        classifier = generation.classifier

        def compute() -> tuple[bytes, dict[str, str]]:
            metadata = classifier.artifact.metadata
            # A tensor is a batch already: computed as it is, its probabilities are those of `predict_pixels`, bit by
            # bit; together with other images kernels may round in other places.
            asked = read_request(body, json_bytes, metadata.input.shape, INPUT)
            probabilities = classifier.predict_pixels(asked.pixels)
            return write_response(model.name, model.version, asked, probabilities, metadata.labels)

        loop = asyncio.get_running_loop()
        content, headers = await call.result(loop.run_in_executor(service.threads, compute))
    return Response(content, headers=headers)
