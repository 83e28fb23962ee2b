"""Pages of `edgefm export --format web` in headless Chromium: predictions, pixels, bytes, times, and without network.

    python -m benchmarks.artifacts.web [--model NAME[:PRECISION]]... [--photos DIR] [--images 100] [--json]

Each model is exported, opened as its page from a plain static server, verified, and classifies images of the
evaluation set (or photos, where it takes them), beside `Classifier` here. Then the server stops, and the page is opened
again. Times are those of the page: from the navigation to the first prediction of a fresh profile, and the median of a
prediction; the runtime's median beside it is of the same images, one after the other.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import edge_fm
from edge_fm.data import load_dataset
from edge_fm_export.browser_runtime.chromium import Chromium
from edge_fm_export.browser_runtime.static_server import StaticServer
from edge_fm_runtime import Classifier
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.photos.photo import load_canvas

MODELS = ("edgenet-n:fp32", "edgenet-s:fp32", "edgenet-m:fp32", "efficientnet-lite0-onnx-int8:int8")
CANVASES = [((224, 224, 3), PhotoSpec(mode)) for mode in ("fit", "crop", "stretch")]
CANVASES += [((28, 28, 1), PhotoSpec(mode, "dark")) for mode in ("fit", "crop", "stretch")]
WAIT_S = 600.0
BASE64 = "(bytes) => { let text = ''; for (const one of bytes) text += String.fromCharCode(one); return btoa(text); }"


def bytes_of(content: bytes) -> str:
    """The expression of JavaScript that gives these bytes."""
    return f'Uint8Array.from(atob("{base64.b64encode(content).decode()}"), (one) => one.charCodeAt(0))'


def open_page(browser: Chromium, address: str) -> None:
    """Open the page and wait until its model is loaded."""
    browser.call("Page.navigate", WAIT_S, url=address)
    ready = f"location.href.startsWith({json.dumps(address)}) && document.readyState === 'complete'"
    ready += " && (document.body.dataset.ready || document.getElementById('error').textContent)"
    script = "new Promise((done) => { const look = () => (READY) ? done() : setTimeout(look, 5); look(); })"
    browser.evaluate(script.replace("READY", ready), WAIT_S)
    if error := browser.evaluate("document.getElementById('error').textContent", WAIT_S):
        raise SystemExit(f"{address}: {error}")


def png(pixels: Any) -> bytes:
    """A PNG of an image `[H,W,C]`."""
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG")
    return stream.getvalue()


def measure(artifact: Artifact, photos: list[bytes], profile: Path) -> dict[str, Any]:
    """One model's row."""
    server = StaticServer(artifact, isolated=False)
    browser = Chromium(profile)
    try:
        open_page(browser, server.address)
        evaluate: Callable[[str], Any] = lambda script: browser.evaluate(script, WAIT_S)  # noqa: E731
        evaluate("import('/edgefm.js').then((module) => { globalThis.edgefm = module; })")
        first = evaluate(f"edgefm.classify({bytes_of(photos[0])}).then(() => performance.now())")
        evaluate("document.getElementById('verify').click()")
        look = "const look = () => globalThis.lastVerification ? done() : setTimeout(look, 20); look();"
        evaluate(f"new Promise((done) => {{ {look} }})")
        verification = evaluate("lastVerification")
        with Classifier.load(artifact.path) as classifier:
            expected = [classifier.classify(photo) for photo in photos]
        kept = "({ label, score, inferMs }) => ({ label, score, inferMs })"
        found = [evaluate(f"edgefm.classify({bytes_of(photo)}).then({kept})") for photo in photos]
        evaluate("navigator.serviceWorker.ready.then(() => true)")
        asked = evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
        server.close()
        open_page(browser, server.address)
        evaluate("import('/edgefm.js').then((module) => { globalThis.edgefm = module; })")
        offline = evaluate(f"edgefm.classify({bytes_of(photos[0])}).then(({{ label }}) => label)")
        return {
            "model": artifact.metadata.name,
            "model_bytes": artifact.metadata.files[artifact.metadata.payload].bytes,
            "folder_bytes": sum(entry.bytes for entry in artifact.metadata.files.values()),
            "golden": verification["n"],
            "golden_passed": verification["passed"],
            "golden_agreement": verification["agreement"],
            "golden_max_abs_diff": verification["maxAbsDiff"],
            "images": len(photos),
            "same_labels": sum(one["label"] == other.label for one, other in zip(found, expected, strict=True)),
            "max_score_diff": max(abs(one["score"] - other.score) for one, other in zip(found, expected, strict=True)),
            "same_host_only": all(name.startswith(server.address) for name in asked),
            "offline_label_same": offline == expected[0].label,
            "first_prediction_ms": round(first, 1),
            "page_p50_ms": round(statistics.median(one["inferMs"] for one in found), 3),
            "runtime_p50_ms": round(statistics.median(one.infer_ms for one in expected), 3),
        }
    finally:
        browser.close()


def compare_pixels(artifact: Artifact, photos: list[Path], profile: Path) -> dict[str, Any]:
    """The largest difference of a pixel over photos, sizes and photo modes."""
    server, browser = StaticServer(artifact), Chromium(profile)
    most, equal, refused = 0, 0, []
    try:
        browser.call("Page.navigate", WAIT_S, url=f"{server.address}icon.svg")
        browser.evaluate("new Promise((done) => setTimeout(done, 500))", WAIT_S)
        browser.evaluate("import('/photo/photo.js').then((module) => { globalThis.photo = module; })", WAIT_S)
        for file in photos:
            content = file.read_bytes()
            for shape, spec in CANVASES:
                described = json.dumps({"mode": spec.mode, "background": spec.background, "fill": spec.fill})
                call = f"photo.loadCanvas({bytes_of(content)}, {list(shape)}, {described}).then({BASE64})"
                found = browser.evaluate(f"{call}.catch((error) => '!' + error.message)", WAIT_S)
                if found.startswith("!"):
                    refused.append(f"{file.name}: {found[1:]}")
                    break
                pixels = np.frombuffer(base64.b64decode(found), np.uint8).reshape(shape).astype(int)
                difference = int(np.abs(pixels - load_canvas(content, shape, spec)).max())
                most, equal = max(most, difference), equal + (difference == 0)
    finally:
        browser.close()
        server.close()
    return {"photos": len(photos), "canvases": len(photos) * len(CANVASES), "equal": equal, "largest_difference": most,
            "refused": refused}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", metavar="NAME[:PRECISION]", help=f"default: {', '.join(MODELS)}")
    parser.add_argument("--photos", type=Path, help="folder of JPEG photos for the pixels, and for models of photos")
    parser.add_argument("--images", type=int, default=100, help="how many are classified")
    parser.add_argument("--compared", type=int, default=50, help="photos whose pixels are compared")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    files = sorted(arguments.photos.rglob("*.jpg")) if arguments.photos else []
    files = files[:: max(1, len(files) // arguments.images)][: arguments.images]
    test = load_dataset("fashion-mnist-mini").test
    rows, pixels = [], None
    with tempfile.TemporaryDirectory() as scratch:
        for number, name in enumerate(arguments.model or MODELS):
            model, _, precision = name.partition(":")
            data = None if (Path(model) / "edgefm.json").is_file() or "-onnx-" in model else "fashion-mnist-mini"
            options = edge_fm.ExportOptions(data=data)
            report = edge_fm.export(model, "web", precision or "fp32", out=Path(scratch) / "pages", options=options)
            artifact = load_artifact(report.results[0].path)
            takes_photos = artifact.metadata.photo.mode != "garment"
            if takes_photos and files:
                photos = [file.read_bytes() for file in files]
            else:
                photos = [png(image) for image in test.images[: arguments.images]]
            rows.append(measure(artifact, photos, Path(scratch) / f"profile-{number}"))
            if not arguments.json:
                print("\n".join(f"{key:22} {value}" for key, value in rows[-1].items()), end="\n\n", flush=True)
        if files:
            pixels = compare_pixels(artifact, files[: arguments.compared], Path(scratch) / "profile-pixels")
    if arguments.json:
        print(json.dumps({"rows": rows, "pixels": pixels}, indent=2))
    elif pixels is not None:
        print("\n".join(f"{key:22} {value}" for key, value in pixels.items()))


if __name__ == "__main__":
    main()
