"""`POST /v2/models/NAME/classify`: photos as they are, instead of tensors."""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_fm.serving.limits.refusals import Refusal
from edge_fm.serving.models import Generation
from edge_fm.serving.routes_protocol import model_of
from edge_fm.serving.service import Call, Service
from edge_fm_runtime.arrays import Pixels, Probabilities
from edge_fm_runtime.classification import Classification, Failure, classification_of
from edge_fm_runtime.errors import PhotoError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

Result: TypeAlias = "tuple[Classification | Failure, str | None]"
"""What became of a photo, and its canvas where that was asked for."""
_PHOTO = "<image>"
"""The name of a photo that came without one, as in `Classifier.classify`."""
_MOST_CLASSES = 1000
_HOW = (
    "send the bytes of a photo (curl --data-binary @photo.jpg), or several photos as multipart/form-data (curl -F "
    "photo=@a.jpg -F photo=@b.jpg)."
)


def routes(service: Service) -> list[Route]:
    """The addresses that take photos."""
    from starlette.routing import Route

    return [
        Route(f"{model}/classify", service.limited(_classify, "classify"), methods=["POST"])
        for model in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
    ]


async def _classify(service: Service, request: Request, call: Call) -> Response:
    from starlette.responses import JSONResponse

    model = model_of(service, request)
    top_k, canvas = _query(request)
    photos = await _photos(request, await call.body(request), service.options.max_photos)
    with model.use() as generation:
        waiting = [_result(service, generation, name, content, top_k, canvas) for name, content in photos]
        results = await call.result(asyncio.gather(*waiting))
    failed = sum(isinstance(result, Failure) for result, _ in results)
    service.metrics.photos(model.name, len(results) - failed, failed)
    content: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    content["predictions"] = [result.to_json() | ({"canvas": png} if canvas else {}) for result, png in results]
    if failed == len(results):
        first = content["predictions"][0]["error"]
        error = first if len(results) == 1 else f"None of {len(results)} photos can be read; the first: {first}"
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            error += f"\nThe body came as a form, as by curl -d, which changes bytes; {_HOW}"
        return JSONResponse({"error": error, **content}, 422)
    return JSONResponse(content)


def _query(request: Request) -> tuple[int, bool]:
    """How many classes a photo gets, and whether its canvas is asked for."""
    if unknown := sorted(set(request.query_params) - {"top_k", "canvas"}):
        raise Refusal(400, f"There is no query parameter {', '.join(unknown)}; supported are top_k and canvas.")
    canvas = request.query_params.get("canvas", "0")
    if canvas not in ("0", "1"):
        raise Refusal(400, f"canvas is {canvas!r}; supported are 1, for what the model saw of each photo, and 0.")
    text = request.query_params.get("top_k", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= _MOST_CLASSES):
        raise Refusal(400, f"top_k is {text!r}; supported are whole numbers from 1 to {_MOST_CLASSES:,}.")
    return int(text), canvas == "1"


async def _photos(request: Request, body: bytes, most: int) -> list[tuple[str, bytes]]:
    """Name and content of every photo of a body."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body:
        raise Refusal(400, "The body is empty; send the bytes of a photo, or several photos as multipart/form-data.")
    if kind == "application/json":
        raise Refusal(415, f"The body is {kind}; {_HOW}")
    return await _multipart(request, body, most) if kind == "multipart/form-data" else [(_PHOTO, body)]


async def _multipart(request: Request, body: bytes, most: int) -> list[tuple[str, bytes]]:
    from starlette.datastructures import UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    async def stream() -> AsyncIterator[bytes]:
        yield body

    parser = MultiPartParser(request.headers, stream(), max_files=most, max_fields=0)  # type: ignore[arg-type]
    parser.spool_max_size = len(body) + 1  # in memory, where the body is anyhow; the disk may be read-only
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        reason = getattr(error, "message", "no boundary")
        raise Refusal(
            400, f"The multipart body cannot be read ({reason}); supported are up to {most} files and no other fields."
        ) from error
    try:
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        found = [(file.filename or _PHOTO, await file.read()) for file in files]
    finally:
        await form.close()
    if not found:
        raise Refusal(400, "The multipart body has no file; send at least one photo.")
    return found


async def _result(
    service: Service, generation: Generation, name: str, content: bytes, top_k: int, canvas: bool
) -> Result:
    """Decode a photo in a thread, and compute it together with those that wait."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def finish(result: Result | Exception) -> None:
        loop.call_soon_threadsafe(_settle, done, result)

    job = service.threads.submit(_Work(generation, name, top_k, canvas, finish).decode, content)
    try:
        return await done
    finally:
        job.cancel()  # where it has not begun, and nobody waits any longer


def _settle(future: asyncio.Future[Result], result: Result | Exception) -> None:
    if future.done():  # the request has been given up
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


@dataclass
class _Work:
    """A photo on its way through a thread and the batcher."""

    generation: Generation
    name: str
    top_k: int
    with_canvas: bool
    finish: Callable[[Result | Exception], None]
    decode_ms: float = 0.0
    png: str | None = None

    def decode(self, content: bytes) -> None:
        start = time.perf_counter()
        try:
            canvas = self.generation.classifier.canvas(content)
            self.decode_ms = (time.perf_counter() - start) * 1e3
            if self.with_canvas:
                self.png = _png(canvas)
        except PhotoError as error:
            self.finish((Failure(self.name, error), None))
        except Exception as error:  # noqa: BLE001  # whoever waits gets it
            self.finish(error)
        else:
            self.generation.batcher.submit(canvas, self.computed)

    def computed(self, row: Probabilities | Exception, infer_ms: float) -> None:
        if isinstance(row, Exception):
            self.finish(row)
            return
        classifier = self.generation.classifier
        found = classification_of(
            classifier.artifact.metadata,
            row,
            name=self.name,
            top_k=self.top_k,
            min_score=classifier.min_score,
            decode_ms=self.decode_ms,
            infer_ms=infer_ms,
        )
        self.finish((found, self.png))


def _png(canvas: Pixels) -> str:
    """What the model saw, as an address that a page shows."""
    from PIL import Image

    packed = io.BytesIO()
    Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else canvas).save(packed, "PNG")
    return f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
