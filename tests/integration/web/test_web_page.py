"""The page in a real browser, from a static host: verified, with the runtime's predictions, without network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from headless_browser import Page, browser_page, needs_chromium, take_photo
from PIL import Image
from web_pages import make_page, real_runtime, start_page

from edge_fm_export.browser_runtime.static_server import StaticServer
from edge_fm_export.targets import Target
from edge_fm_runtime import Classifier
from edge_fm_runtime.artifacts.artifact import Artifact, load_artifact
from edge_fm_runtime.artifacts.golden import golden_of
from edge_fm_runtime.artifacts.metadata import PhotoSpec

pytestmark = [needs_chromium, pytest.mark.needs("tensorflow", "tf2onnx", "onnx")]
LABELS = ("<b>bold</b> & co", "חולצה", "Ankle boot", 'quote" onerror="x')
REJECTION = {"rejection": {"threshold": 0.99, "dataset": "made up", "n": 10}}
THRESHOLDS = {"label_thresholds": {"values": [0.01, 0.02, 0.03, 0.9], "dataset": "made up", "n": 10}}


@pytest.fixture(scope="module")
def base(exported_with_outputs: Callable[..., Any]) -> Artifact:
    return load_artifact(exported_with_outputs("colour", Target("onnx", "fp32")).path)


@pytest.fixture(scope="module")
def artifact(base: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    labels = LABELS[: len(base.metadata.labels)]
    folder = tmp_path_factory.mktemp("page")
    scores = {**(base.metadata.scores or {}), **REJECTION}
    return make_page(base, folder, real_runtime(), labels=labels, photo=PhotoSpec("crop"), scores=scores)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, random, found = tmp_path_factory.mktemp("photos"), np.random.default_rng(3), []
    for number in range(6):
        pixels = random.integers(0, 256, (9 + 40 * number, 70, 3), dtype=np.uint8)
        found.append(folder / f"{number}.{'png' if number % 2 else 'jpg'}")
        Image.fromarray(pixels).resize((200, 150)).save(found[-1])
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser_page(tmp_path_factory.mktemp("profile")) as found:
        yield found


def text(page: Page, name: str) -> str:
    return str(page.run(f"document.getElementById('{name}').textContent"))


def show(page: Page, photo: Path) -> None:
    page.run("document.getElementById('result').hidden = true; document.getElementById('error').textContent = ''")
    page.give_file("#file", photo)
    page.wait("!document.getElementById('result').hidden || document.getElementById('error').textContent")


def test_the_page_predicts_as_the_runtime_and_goes_on_without_network(
    page: Page, artifact: Artifact, photos: list[Path]
) -> None:
    server = StaticServer(artifact, isolated=False)
    start_page(page, server.address, width=400)
    assert text(page, "error") == ""
    assert text(page, "backend").startswith("Runs on WebAssembly with one thread. Not on WebGPU: ")
    with Classifier.load(artifact.path) as classifier:
        for photo in photos:
            show(page, photo)
            expected = classifier.classify(photo, top_k=len(LABELS))
            labels = page.run("[...document.querySelectorAll('#rows th')].map((cell) => cell.textContent)")
            assert labels == [prediction.label for prediction in expected.top]
            assert text(page, "status") == f"{expected.label}, {100 * expected.score:.1f} %"
    assert page.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.run("document.querySelector('#rows b') === null")
    take_photo(page)
    assert text(page, "error") == "" and not page.run("document.getElementById('video').srcObject.active")
    page.run("document.getElementById('verify').click()")
    page.wait("globalThis.lastVerification")
    verification = page.run("lastVerification")
    assert verification["passed"] and verification["agreement"] == 1 and verification["n"] == 32
    assert verification["maxAbsDiff"] < 1e-5
    assert "Passed. 32 golden predictions: 100.0 %" in text(page, "verdict")
    assert {check["name"] for check in verification["checks"]} >= {"max_abs_diff_embedding_to_exported"}
    page.wait("document.querySelector('#card h3')")
    assert artifact.metadata.name in text(page, "card") and LABELS[0] in text(page, "card")
    page.wait("navigator.serviceWorker.controller && document.getElementById('offline').textContent")
    assert text(page, "offline") == "This page is kept in the browser and works without network."
    assert page.requested and all(address.startswith(server.address) for address in page.requested)

    server.close()
    start_page(page, server.address, dark=True)
    show(page, photos[0])
    assert text(page, "error") == "" and text(page, "status") == f"{labels_of(artifact, photos[0])}"
    page.run("document.getElementById('reject').click()")
    page.wait("document.getElementById('status').textContent.startsWith('Unknown')")


def labels_of(artifact: Artifact, photo: Path) -> str:
    with Classifier.load(artifact.path) as classifier:
        found = classifier.classify(photo)
    return f"{found.label}, {100 * found.score:.1f} %"


def test_the_module_has_batches_outputs_and_clear_errors(page: Page, artifact: Artifact) -> None:
    server = StaticServer(artifact)
    page.open(f"{server.address}edgefm.json")
    page.run("""import("/edgefm.js").then((module) => module.load({ backend: "wasm", threads: 1 }))
        .then((classifier) => { globalThis.classifier = classifier; })""")
    golden = golden_of(artifact)
    pixels = golden.images[:3].ravel().tolist()
    found = page.run(
        f"""classifier.run(Uint8Array.from({pixels}), ["embedding"])
        .then((all) => ({{ probabilities: [...all.probabilities], embedding: [...all.embedding] }}))"""
    )
    np.testing.assert_allclose(np.reshape(found["probabilities"], (3, -1)), golden.exported[:3], atol=1e-5)
    expected = golden.extra["embedding"].exported[:3]
    np.testing.assert_allclose(np.reshape(found["embedding"], expected.shape), expected, atol=1e-3)
    for call, reason in {
        "classifier.classify(new Blob(['text']))": "reads JPEG",
        "classifier.classify(new ImageData(4, 4), { topK: 0 })": "at least one class",
        "classifier.classify(new ImageData(4, 4), { minScore: 2 })": "from 0 to 1",
        "classifier.classify(new ImageData(4, 4), { outputs: ['cam'] })": "no output cam; it has embedding",
        "classifier.predict(new Uint8Array(5))": "images of 360 bytes",
        "import('/edgefm.js').then(({ load }) => load({ backend: 'webgpu' }))": "does not run on WebGPU",
        "import('/edgefm.js').then(({ load }) => load({ backend: 'gpu' }))": "wasm",
        "import('/edgefm.js').then(({ load }) => load({ folder: '/nowhere/' }))": "cannot be fetched",
        "classifier.close().then(() => classifier.predict(new Uint8Array(360)))": "was closed",
    }.items():
        message = page.run(f"Promise.resolve().then(() => {call}).then(() => 'no error', (error) => error.message)")
        assert reason in message, call
    server.close()


def test_a_multi_label_model_names_every_label_that_applies(
    page: Page, base: Artifact, tmp_path: Path, photos: list[Path]
) -> None:
    count = len(base.metadata.labels)
    scores = {"label_thresholds": {**THRESHOLDS["label_thresholds"], "values": [0.01, 0.02, 0.03, 0.9][:count]}}
    changes = {"task": "multi-label", "scores": scores, "extra_outputs": (), "parity": None, "accuracy": None}
    made = make_page(base, tmp_path, real_runtime(), photo=PhotoSpec("stretch"), **changes)
    server = StaticServer(made)
    page.open(f"{server.address}edgefm.json")
    page.run("""import("/edgefm.js").then((module) => module.load({ backend: "wasm", threads: 1 }))
        .then((classifier) => { globalThis.classifier = classifier; })""")
    assert page.run("classifier.verify().then((found) => found.passed)") is True
    with Classifier.load(made.path) as classifier:
        for photo in photos[:3]:
            page.run(f"globalThis.bytes = Uint8Array.from({list(photo.read_bytes())})")
            found = page.run("classifier.classify(bytes).then(({ label, labels }) => ({ label, labels }))")
            expected = classifier.classify(photo)
            assert expected.labels is not None
            assert [one["label"] for one in found["labels"]] == [one.label for one in expected.labels]
            assert found["label"] == expected.label
    refused = page.run("classifier.classify(bytes, { minScore: 'auto' }).catch((error) => error.message)")
    assert "threshold of its own" in refused
    server.close()


def test_a_changed_file_is_named_and_nothing_runs(page: Page, artifact: Artifact, tmp_path: Path) -> None:
    from shutil import copytree

    folder = copytree(artifact.path, tmp_path / "copy")
    changed = bytearray((folder / "model.onnx").read_bytes())
    changed[len(changed) // 3] ^= 1
    (folder / "model.onnx").write_bytes(changed)
    server = StaticServer(load_artifact(folder, check_hashes=False))
    start_page(page, server.address)
    assert "model.onnx is not the file that edgefm.json lists" in text(page, "error")
    assert page.run("document.getElementById('file').disabled")
    server.close()


def test_threads_come_with_the_headers_of_the_host(page: Page, artifact: Artifact) -> None:
    server = StaticServer(artifact)
    page.open(f"{server.address}edgefm.json")
    loaded = "import('/edgefm.js').then(({ load }) => load({ backend: 'wasm', threads: 2 }))"
    assert page.run(f"{loaded}.then((classifier) => classifier.threads)") == 2
    server.close()
    server = StaticServer(artifact, isolated=False)
    page.open(f"{server.address}edgefm.json")
    message = page.run(f"{loaded}.catch((error) => error.message)")
    assert "not cross-origin isolated" in message
    server.close()


def test_metadata_and_service_worker_list_the_same_files(artifact: Artifact) -> None:
    worker = (artifact.path / "sw.js").read_text()
    listed, _ = json.JSONDecoder().raw_decode(worker, worker.index("= {") + 2)
    names = {*listed["files"], *listed["later"]}
    assert names == {*artifact.metadata.files, "edgefm.json"} - {"sw.js", "edgefm.d.ts", "ort/LICENSE", "drift.npz"}
    assert set(listed["later"]) == {name for name in names if "webgpu" in name or "asyncify" in name}
