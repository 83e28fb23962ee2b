"""Photos over HTTP get what `Classifier.classify` gives them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running_server import Running, needs_server, running

from edge_fm import Classifier

pytestmark = needs_server
MODEL = "edgenet-s-onnx-int8"
CLASSIFY = f"/v2/models/{MODEL}/classify"
BOUNDARY = "a-boundary"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(MODEL, max_photos=5, max_pixels=100_000) as found:
        yield found


@pytest.fixture(scope="module")
def classifier() -> Iterator[Classifier]:
    with Classifier.load(MODEL) as found:
        yield found


def photo(seed: int, size: tuple[int, int] = (90, 60)) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1] // 10, size[0] // 10, 3), dtype=np.uint8)
    packed = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(packed, "PNG")
    return packed.getvalue()


def form(*parts: tuple[str, bytes]) -> bytes:
    lines = []
    for head, content in parts:
        lines += [f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode(), content, b"\r\n"]
    return b"".join([*lines, f"--{BOUNDARY}--\r\n".encode()])


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("decode_ms", "infer_ms")}


def test_the_bytes_of_a_photo(server: Running, classifier: Classifier) -> None:
    status, found = server.ask("POST", f"{CLASSIFY}?top_k=3", photo(0), {"Content-Type": "image/png"})
    assert status == 200 and (found["model_name"], found["model_version"]) == (MODEL, "1")
    (row,) = found["predictions"]
    assert untimed(row) == untimed(classifier.classify(photo(0), top_k=3).to_json())
    assert len(row["top"]) == 3 and row["decode_ms"] > 0 and row["infer_ms"] > 0


def test_several_photos_one_of_which_is_none(server: Running, classifier: Classifier) -> None:
    parts = [(f'name="photo"; filename="{i}.png"', photo(i)) for i in range(3)]
    parts.insert(1, ('name="x"; filename="notes.txt"', b"none"))
    status, found = server.ask("POST", CLASSIFY, form(*parts), FORM)
    rows = found["predictions"]
    assert status == 200 and [row["input"] for row in rows] == ["0.png", "notes.txt", "1.png", "2.png"]
    assert rows[1]["label"] is None and "not a photo that can be read" in rows[1]["error"]
    for row, seed in ((rows[0], 0), (rows[2], 1), (rows[3], 2)):
        expected = classifier.classify(photo(seed))
        assert (row["label"], row["error"]) == (expected.label, None)
        assert row["score"] == pytest.approx(expected.score, abs=1e-5)


def test_the_canvas_is_what_the_model_saw(server: Running, classifier: Classifier) -> None:
    _, found = server.ask("POST", f"{CLASSIFY}?canvas=1", photo(3))
    kind, _, packed = found["predictions"][0]["canvas"].partition(",")
    assert kind == "data:image/png;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))))
    np.testing.assert_array_equal(shown, classifier.canvas(photo(3))[..., 0])


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"none", {}, 422, "not a photo that can be read"),
        (form(('name="a"; filename="a"', b"1"), ('name="a"; filename="b"', b"2")), FORM, 422, "None of 2 photos can"),
        (photo(0, (400, 300)), {}, 422, "the photo is 400x300"),
        (b"", {}, 400, "The body is empty"),
        (b"{}", {"Content-Type": "application/json"}, 415, "send the bytes of a photo"),
        (b"a=1", {"Content-Type": "application/x-www-form-urlencoded"}, 422, "curl --data-binary"),
        (form(('name="top_k"', b"3")), FORM, 400, "up to 5 files and no other fields"),
        (form(*[('name="a"; filename="a"', b"1")] * 6), FORM, 400, "up to 5 files"),
        (form(), FORM, 400, "no file"),
        (b"nothing of the kind", FORM, 400, "cannot be read"),
        (b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        (b"x", {"Content-Encoding": "gzip"}, 415, "supported is none"),
    ],
)
def test_what_is_no_photo(server: Running, body: bytes, headers: dict[str, str], status: int, message: str) -> None:
    got, found = server.ask("POST", CLASSIFY, body, headers)
    assert (got, message in found["error"]) == (status, True), found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("top_k=0", "top_k is '0'; supported are whole numbers from 1"),
        ("top_k=many", "top_k is 'many'"),
        ("canvas=yes", "canvas is 'yes'"),
        ("topk=3", "There is no query parameter topk; supported are top_k and canvas."),
    ],
)
def test_a_wrong_query(server: Running, query: str, message: str) -> None:
    status, found = server.ask("POST", f"{CLASSIFY}?{query}", photo(0))
    assert status == 400 and found["error"].startswith(message)


def test_photos_are_counted(server: Running) -> None:
    server.ask("POST", CLASSIFY, photo(0))
    text = server.ask("GET", "/metrics")[1].decode()
    assert f'edgefm_photos_total{{model="{MODEL}",outcome="classified"}}' in text
    assert f'edgefm_batch_size_count{{model="{MODEL}"}}' in text


def test_a_threshold_rejects_what_is_below(classifier: Classifier) -> None:
    with running(MODEL, min_score=1.0) as server:
        (row,) = server.ask("POST", CLASSIFY, photo(0))[1]["predictions"]
    assert row["rejected"] is True and row["label"] is None and row["top"][0]["label"] is not None


def test_the_page_and_its_files_come_from_the_server_alone(server: Running) -> None:
    for path in ("/", "/page.js", "/page.css", "/photo_input.js"):
        status, content = server.ask("GET", path)
        assert status == 200 and len(content) > 500
        assert b"http:" not in content and b"https:" not in content
    assert b'src="page.js"' in server.ask("GET", "/")[1]
