"""About a damaged photo nobody but EdgeFM writes to stderr: native libraries stay silent, the error says it."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.photo import load_canvas

_FORMATS = {
    **{f"TIFF {name}": ("TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")},
    **{f"TIFF {name}": ("TIFF", {"compression": name}) for name in ("group3", "group4")},
    **{name: (name, {}) for name in ("JPEG", "PNG", "GIF", "BMP", "PPM", "WebP")},
    "progressive JPEG": ("JPEG", {"progressive": True}),
}


def damaged(form: str, options: dict[str, object]) -> list[bytes]:
    """A photo with bytes changed here and there, and cut short."""
    random = np.random.default_rng(0)
    image = Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    stream = io.BytesIO()
    grey = str(options.get("compression", "")).startswith("group")
    (image.convert("1") if grey else image).save(stream, form, **options)
    whole = stream.getvalue()
    found = [whole[: len(whole) * part // 6] for part in range(1, 6)]
    for _ in range(10):
        content = bytearray(whole)
        for at in random.integers(8, len(whole), 6):
            content[at] ^= int(random.integers(1, 256))
        found.append(bytes(content))
    return found


def _opened(content: bytes) -> Image.Image:
    with warnings.catch_warnings():  # of Pillow's `open`, which is the caller's
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(content))


@pytest.mark.parametrize("name", _FORMATS)
@pytest.mark.parametrize("source", [bytes, _opened], ids=["bytes", "PIL image"])
def test_decoders_write_nothing_to_stderr(
    name: str, source: Callable[[bytes], bytes | Image.Image], capfd: pytest.CaptureFixture[str]
) -> None:
    refused = 0
    for content in damaged(*_FORMATS[name]):
        try:
            load_canvas(source(content), (28, 28, 1), PhotoSpec(mode="fit"))
        except (PhotoError, OSError, ValueError, SyntaxError):  # the last ones of Pillow's own `open`
            refused += 1
    assert refused
    assert capfd.readouterr().err == ""


def test_infer_prints_its_own_lines_alone(tmp_path: Path) -> None:
    for number, content in enumerate(damaged(*_FORMATS["TIFF tiff_deflate"])):
        (tmp_path / f"{number}.tif").write_bytes(content)
    command = [sys.executable, "-m", "edge_fm", "infer", str(tmp_path), "--model", "edgenet-s-onnx-int8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 4)
    written = [line for line in done.stderr.splitlines() if "Decode" in line or "TIFF" in line.partition(":")[0]]
    assert written == []
