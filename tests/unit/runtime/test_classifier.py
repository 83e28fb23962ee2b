"""The public API: one photo, many photos, pixels; typed results; several threads."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm_runtime import Classification, Classifier, Failure
from edge_fm_runtime.artifacts.golden import load_golden
from edge_fm_runtime.errors import EngineError, PhotoError


@pytest.fixture
def classifier(artifact_folder: Path):
    with Classifier.load(artifact_folder) as classifier:
        yield classifier


def test_every_kind_of_photo_gets_the_same_result(
    classifier: Classifier, artifact_folder: Path, tmp_path: Path
) -> None:
    pixels = load_golden(artifact_folder / "golden.npz").images[3, ..., 0]
    image = Image.fromarray(pixels)
    image.save(tmp_path / "photo.png")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    expected = classifier.predict_pixels(pixels[None, ..., None])[0]
    for photo in (tmp_path / "photo.png", str(tmp_path / "photo.png"), buffer.getvalue(), image, pixels):
        result = classifier.classify(photo, top_k=3)
        assert result.index == expected.argmax()
        assert [p.score for p in result.top] == sorted(map(float, expected), reverse=True)
        assert result.label == classifier.artifact.metadata.labels[result.index]


def test_many_keep_their_order_and_one_bad_file_does_not_stop_the_rest(classifier: Classifier, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for i in range(25):
        path = tmp_path / f"{i:02}.png"
        if i == 11:
            path.write_bytes(b"not an image")
        else:
            Image.fromarray(rng.integers(0, 256, (4, 4), dtype=np.uint8)).save(path)
        paths.append(path)
    results = list(classifier.classify_many(iter(paths), batch_size=4))
    assert [a.input for a in results] == [str(p) for p in paths]
    assert [i for i, a in enumerate(results) if isinstance(a, Failure)] == [11]
    for path, result in zip(paths, results, strict=True):
        if isinstance(result, Classification):
            assert result.top == classifier.classify(path).top


def test_photos_are_read_lazily(classifier: Classifier) -> None:
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield np.zeros((4, 4), np.uint8)

    results = classifier.classify_many(endless(), batch_size=4)
    for _ in range(10):
        next(results)
    results.close()
    assert taken < 100


def test_pixels_of_another_kind_are_refused(classifier: Classifier) -> None:
    for batch in (np.zeros((1, 4, 4, 1), np.float32), np.zeros((1, 5, 4, 1), np.uint8), np.zeros((4, 4, 1), np.uint8)):
        with pytest.raises(PhotoError, match="uint8"):
            classifier.predict_pixels(batch)


def test_threads_may_share_a_classifier(classifier: Classifier) -> None:
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, 256, (3, 4, 4, 1), dtype=np.uint8) for _ in range(40)]
    expected = [classifier.predict_pixels(b) for b in batches]
    with ThreadPoolExecutor(8) as pool:
        for got, want in zip(pool.map(classifier.predict_pixels, batches), expected, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("top_k", [0, -1])
def test_no_class_at_all_cannot_be_asked_for(classifier: Classifier, top_k: int) -> None:
    photo = np.zeros((4, 4), np.uint8)
    with pytest.raises(EngineError, match=f"top_k is {top_k}; a photo gets at least one class"):
        classifier.classify(photo, top_k=top_k)
    with pytest.raises(EngineError, match=f"top_k is {top_k}"):
        list(classifier.classify_many([photo], top_k=top_k))
    assert len(classifier.classify(photo, top_k=1_000).top) == 3


def test_one_photo_is_not_taken_apart_into_many(classifier: Classifier, tmp_path: Path) -> None:
    """The letters of a path, or the numbers of bytes, are no photos."""
    Image.new("L", (4, 4)).save(tmp_path / "photo.png")
    path = tmp_path / "photo.png"
    content = path.read_bytes()
    for one in (str(path), path, content, bytearray(content), Image.new("L", (4, 4))):
        with pytest.raises(PhotoError, match="Several photos are expected") as error:
            list(classifier.classify_many(one))  # type: ignore[arg-type]  # what people try
        assert "[photo]" in str(error.value.hint)
    with pytest.raises(EngineError, match="batch_size is 0"):
        list(classifier.classify_many([path], batch_size=0))


def test_a_canvas_without_bounds_is_refused() -> None:
    from edge_fm_runtime import PhotoSpec, load_canvas

    with pytest.raises(PhotoError, match="more than 134,217,728 bytes"):
        load_canvas(np.zeros((4, 4), np.uint8), (10**6, 10**6, 3), PhotoSpec(mode="fit"))
