"""What a video costs beside bare PyAV decoding and a bare onnxruntime session, in alternation, in one run.

    python benchmarks/photos/video_throughput.py [--artifact NAME] [--video FILE] [--seconds 60] [--rounds 3] [--json]

Without --video a clip of 640x360 pixels and 30 frames a second is made, H.264. It prints

- frames a second: decoding and RGB alone; a script by hand (PyAV, Pillow's resize, one session, frame by frame);
  `classify_stream` with batches of 8 and of 1; and their ratios to the script by hand;
- whether every frame gets, to the bit, the probabilities of the same frame as a PNG;
- the peak memory of `edgefm infer --video --json` on the clip and on its first tenth;
- for a model that takes 0.2 s, how late its frames are in a live stream: the age of the frame when its call begins.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import onnxruntime as ort
from PIL import Image

from edge_fm_runtime import Classification, Classifier, Frame, open_video
from edge_fm_runtime.classification import Decoded
from edge_fm_runtime.engines.null_engine import NullEngine
from edge_fm_runtime.system.machine import describe_machine, usable_cpus

MEASURE_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
"""
SLOW_S = 0.2


def make_video(path: Path, seconds: float, *, rate: int = 30, size: tuple[int, int] = (640, 360)) -> Path:
    """Photos of dataset images that move over a noisy ground, as H.264."""
    from edge_fm.data import load_dataset

    images = load_dataset("fashion-mnist-mini").test.images[..., 0]
    rng = np.random.default_rng(0)
    ground = rng.integers(150, 220, (size[1], size[0], 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(round(seconds * rate)):
            pixels = ground.copy()
            garment = np.asarray(Image.fromarray(images[number // 45 % len(images)]).resize((224, 224)))
            left = number * 3 % (size[0] - 224)
            pixels[60:284, left : left + 224] = garment[..., None]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decode_alone(video: Path) -> int:
    count = 0
    with av.open(str(video)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            frame.to_ndarray(format="rgb24")
            count += 1
    return count


def by_hand(video: Path, classifier: Classifier) -> Callable[[], int]:
    """What a script would do: decode, resize with Pillow, run a session."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = usable_cpus()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as `edgefm infer --video` does
    session = ort.InferenceSession(classifier.artifact.payload, options, providers=["CPUExecutionProvider"])
    (name,) = [one.name for one in session.get_inputs()]
    height, width, channels = classifier.artifact.metadata.input.shape

    def run() -> int:
        count = 0
        with av.open(str(video)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                image = frame.to_image().convert("L" if channels == 1 else "RGB").resize((width, height))
                session.run(None, {name: np.asarray(image).reshape(1, height, width, channels)})
                count += 1
        return count

    return run


def streamed(video: Path, classifier: Classifier, batch_size: int) -> int:
    with open_video(video) as opened:
        return sum(1 for _ in classifier.classify_stream(opened, batch_size=batch_size, window=15))


def compare_with_files(video: Path, classifier: Classifier) -> tuple[int, int]:
    """How many frames there are, and how many get other predictions than the same frames as PNG."""
    classes = len(classifier.artifact.metadata.labels)
    different = count = 0
    with open_video(video) as opened, av.open(str(video)) as container:
        results = classifier.classify_stream(opened, top_k=classes)
        for result, frame in zip(results, container.decode(video=0), strict=True):
            png = io.BytesIO()
            frame.to_image().save(png, "PNG", compress_level=1)
            photo = classifier.classify(png.getvalue(), top_k=classes)
            assert isinstance(result.prediction, Classification) and result.frame == count
            different += result.prediction.top != photo.top
            count += 1
    return count, different


def peak_mib(video: Path, artifact: str) -> float:
    command = [sys.executable, "-m", "edge_fm", "infer", "--video", str(video), "--json", "--quiet"]
    measured = [sys.executable, "-c", MEASURE_PEAK, *command, "--model", artifact]
    return float(subprocess.run(measured, capture_output=True, text=True, check=True).stdout)


class SlowEngine(NullEngine):
    """A model that takes 0.2 s."""

    def infer(self, batch: Any, /) -> Any:
        time.sleep(SLOW_S)
        return super().infer(batch)


def lateness(video: Path, artifact: str, seconds: float) -> dict[str, Any]:
    """How old frames are when a slow model begins with them, in a live stream of `seconds` seconds."""
    from edge_fm_runtime.engines import EngineOptions

    ages: list[float] = []
    start: list[float] = []

    class Timed(Classifier):
        def _decode(self, photo: Any, name: str | None = None) -> Decoded:
            ages.append(time.monotonic())
            return super()._decode(photo, name)

    with Classifier.load(artifact) as opened:
        classifier = Timed(opened.artifact, SlowEngine(opened.artifact, EngineOptions()))
    times: list[float] = []
    dropped = 0
    with open_video(video, live=True) as live:

        def frames() -> Any:
            for frame in live:
                assert isinstance(frame, Frame) and frame.time_s is not None
                start.append(time.monotonic() - frame.time_s)
                if frame.time_s > seconds:
                    return
                yield frame

        for result in classifier.classify_stream(frames(), live=True):
            assert result.time_s is not None
            times.append(result.time_s)
            dropped += result.dropped
    late = [begun - start[0] - time_s for begun, time_s in zip(ages, times, strict=True)]
    return {
        "model_s": SLOW_S,
        "frames": len(times),
        "dropped": dropped,
        "median_age_s": round(statistics.median(late), 3),
        "largest_age_s": round(max(late), 3),
        "last_age_s": round(late[-1], 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", default="efficientnet-lite0-onnx-int8")
    parser.add_argument("--video", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Classifier.load(given.artifact, profile=False, one_shot=True) as classifier,
    ):
        video = given.video or make_video(Path(folder) / "clip.mp4", given.seconds)
        hand = by_hand(video, classifier)
        runs: dict[str, Callable[[], int]] = {
            "decoding and RGB alone": lambda: decode_alone(video),
            "script by hand": hand,
            "classify_stream, batches of 8": lambda: streamed(video, classifier, 8),
            "classify_stream, one by one": lambda: streamed(video, classifier, 1),
        }
        rates: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(given.rounds):
            for name, run in runs.items():
                start = time.perf_counter()
                count = run()
                rates[name].append(count / (time.perf_counter() - start))
        ratios = {
            name: statistics.median(a / b for a, b in zip(found, rates["script by hand"], strict=True))
            for name, found in rates.items()
        }
        frames, different = compare_with_files(video, classifier)
        short = make_video(Path(folder) / "short.mp4", given.seconds / 10)
        result = {
            "machine": describe_machine(),
            "artifact": given.artifact,
            "frames": frames,
            "frames_per_s": {name: round(statistics.median(found), 1) for name, found in rates.items()},
            "ratio_to_script": {name: round(ratio, 3) for name, ratio in ratios.items()},
            "frames_unlike_their_png": different,
            "peak_mib": round(peak_mib(video, given.artifact), 1),
            "peak_mib_of_a_tenth": round(peak_mib(short, given.artifact), 1),
            "slow_model": lateness(video, given.artifact, min(10.0, given.seconds / 2)),
        }
    if given.json:
        print(json.dumps(result, indent=2))
        return
    for name, rate in result["frames_per_s"].items():
        print(f"{name:32} {rate:8.1f} frames/s   {result['ratio_to_script'][name]:.2f}x")
    print(f"{frames} frames, {different} unlike the same frame as PNG")
    print(f"peak memory {result['peak_mib']} MiB; of a tenth of the clip {result['peak_mib_of_a_tenth']} MiB")
    print("slow model:", json.dumps(result["slow_model"]))


if __name__ == "__main__":
    main()
