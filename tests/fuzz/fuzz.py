"""Feed mutated bytes to all that reads files from elsewhere: photos, artifacts, model files, recipes, data sets.

    make fuzz                                   # an hour, or a million inputs, for each target in turn
    python tests/fuzz/fuzz.py TARGET [-runs=N] [-max_total_time=SECONDS] [CORPUS...]

TARGET is one of TARGETS below. Only the errors that each reader promises may come out;
anything else, a hang or more than 600 MiB (atheris's own included) is a finding, and libFuzzer leaves the input that
made it. Needs atheris.
"""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["edge_fm_runtime", "edge_fm_export", "edge_fm"]):
    from edge_fm.data import load_dataset
    from edge_fm.training.recipe.file import parse_recipe
    from edge_fm_export.third_party_models import keras_file
    from edge_fm_runtime.artifacts import embedded, golden, metadata, metadata_parser
    from edge_fm_runtime.artifacts import onnx_external_data as onnx_external
    from edge_fm_runtime.errors import EdgeFMError
    from edge_fm_runtime.measurement import device_profile
    from edge_fm_runtime.photos import photo

import numpy as np
from PIL import Image

SCRATCH = Path(tempfile.mkdtemp(prefix="edgefm-fuzz-"))
SPEC = metadata.PhotoSpec("garment", "dark")


def read_photo(data: bytes) -> None:
    canvas = photo.load_canvas(data, (28, 28, 1), SPEC, max_pixels=1_000_000)
    assert canvas.shape == (28, 28, 1) and canvas.dtype == np.uint8


def read_metadata(data: bytes) -> None:
    parsed = metadata_parser.parse_metadata(data, where="fuzz")
    assert metadata_parser.parse_metadata(metadata.dump_metadata(parsed), where="fuzz") == parsed


def from_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        path = SCRATCH / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        read(path)

    return run


def read_onnx(path: Path) -> None:
    try:
        onnx_external.refuse_external_data(path)
    finally:
        embedded.read_embedded(path)


def read_data(path: Path) -> None:
    load_dataset(str(path))


def void(value: object) -> None:
    """A target predictions nothing."""


TARGETS: dict[str, Callable[[bytes], None]] = {
    "photo": read_photo,
    "metadata": read_metadata,
    "onnx": from_file("model.onnx", read_onnx),
    "openvino": from_file("model.xml", embedded.read_embedded),
    "litert": from_file("model.tflite", embedded.read_embedded),
    "golden": from_file("golden.npz", golden.load_golden),
    "profile": from_file("profile.json", device_profile._read),
    "keras": from_file("model.keras", keras_file.read_config),
    "recipe": lambda data: void(parse_recipe(data.decode("utf-8", "replace"))),
    "npz": from_file("set.npz", read_data),
    "csv": from_file("set.csv", read_data),
    "idx": from_file("idx/train-images-idx3-ubyte", lambda path: read_data(path.parent)),
}


def seeds(target: str) -> list[bytes]:
    """Small valid inputs to start from."""
    spec = metadata.InputSpec(4, 4, 1)
    card = metadata.Metadata("tiny", "onnx", "fp32", "model.onnx", spec, ("T-shirt/top", "Bag"))
    if target == "photo":
        found = []
        image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
        for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "PPM", "WEBP"):
            buffer = io.BytesIO()
            image.save(buffer, kind)
            found.append(buffer.getvalue())
        return found
    if target == "golden":
        predictions = np.full((2, 2), 0.5, np.float32)
        golden.save_golden(
            golden.Golden(np.zeros((2, 4, 4, 1), np.uint8), predictions, predictions), SCRATCH / "seed.npz"
        )
        return [(SCRATCH / "seed.npz").read_bytes()]
    if target == "litert":
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        model, buffer, entry = schema.ModelT(), schema.BufferT(), schema.MetadataT()
        buffer.data, entry.name, entry.buffer = list(card.embedded().encode()), "edgefm", 0
        model.buffers, model.metadata = [buffer], [entry]
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        return [bytes(builder.Output())]
    if target == "onnx":
        text = card.embedded().encode()
        entry = b"\x0a\x06edgefm\x12" + varint(len(text)) + text
        node = b"\x1a\x08location\x2a\x02\x2a\x00"  # its attribute holds an empty tensor
        graph = b"\x0a" + varint(len(node)) + node
        return [b"\x08\x08\x72" + varint(len(entry)) + entry, b"\x08\x08\x3a" + varint(len(graph)) + graph]
    if target == "openvino":
        return [b'<net><layers/><rt_info><edgefm value="{}"/></rt_info></net>']
    if target == "keras":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("config.json", b'{"class_name": "Sequential", "config": {"name": "net", "layers": []}}')
        return [buffer.getvalue()]
    if target == "recipe":
        return [b'schema = 1\nname = "x"\n[model]\nname = "edgenet-s"\n[data]\nshape = [28, 28, 1]\n']
    if target == "npz":
        buffer = io.BytesIO()
        np.savez(buffer, images=np.zeros((10, 4, 4), np.uint8), labels=np.arange(10) % 2)
        return [buffer.getvalue()]
    if target == "csv":
        return ["\n".join(["label,p0,p1,p2,p3", *(f"{i % 2},{i},0,7,255" for i in range(10))]).encode()]
    if target == "idx":
        (SCRATCH / "idx").mkdir(exist_ok=True)
        (SCRATCH / "idx" / "train-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 10, *([0, 1] * 5)]))
        return [bytes([0, 0, 8, 3, 0, 0, 0, 10, 0, 0, 0, 2, 0, 0, 0, 2]) + bytes(40)]
    if target == "profile":
        return [b'{"schema_version": 1, "choices": {}}']
    return [metadata.dump_metadata(card).encode()]


def varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"{__doc__}\nTARGET is one of: {', '.join(TARGETS)}")
    target = sys.argv.pop(1)
    run = TARGETS[target]
    corpus = SCRATCH / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds(target)):
        run(data)  # a seed that is refused would start nothing
        (corpus / str(number)).write_bytes(data)

    def one(data: bytes) -> None:
        try:
            run(data)
        except EdgeFMError:
            return

    atheris.Setup([*sys.argv, "-timeout=10", "-rss_limit_mb=600", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
