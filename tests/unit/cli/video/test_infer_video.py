"""`edgefm infer --video` as a person and as a program meet it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from terminal import screen_of
from video_clips import make_clip, make_sound, stored_frames

import edge_fm
from edge_fm.cli import cli

EDGEFM = (sys.executable, "-m", "edge_fm")


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "clip.mp4", 12)
    return "clip.mp4"


def infer(*arguments: str, model: Path | str) -> Result:
    return CliRunner().invoke(cli, ["infer", "--model", str(model), *arguments])


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def untimed(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("decode_ms", "infer_ms")}


def test_a_line_for_each_frame_as_its_photo_has_it(clip: str, artifact_folder: Path) -> None:
    names = [f"{number:03}.png" for number in range(12)]
    for name, image in zip(names, stored_frames(Path(clip)), strict=True):
        image.save(name)
    done = infer("--video", clip, "--json", "--top-k", "3", "--quiet", model=artifact_folder)
    photos = infer(*names, "--json", "--top-k", "3", "--quiet", model=artifact_folder)
    assert done.exit_code == photos.exit_code == 0 and not done.stderr
    own = ("input", "frame", "time_s", "dropped", "vote", "decode_ms", "infer_ms")
    frames = rows(done)
    assert [{k: v for k, v in row.items() if k not in own} for row in frames] == [
        {k: v for k, v in row.items() if k not in own} for row in rows(photos)
    ]
    assert [row["frame"] for row in frames] == list(range(12))
    assert [row["time_s"] for row in frames] == pytest.approx([number / 10 for number in range(12)])
    assert {(row["input"], row["dropped"], row["vote"]) for row in frames} == {(clip, 0, None)}


def test_the_function_gives_what_the_command_prints(clip: str, artifact_folder: Path) -> None:
    options = ["--stride", "2", "--window", "3", "--max-frames", "4", "--min-score", "0.5"]
    done = infer("--video", clip, "--json", *options, model=artifact_folder)
    found = edge_fm.classify_video(clip, artifact_folder, stride=2, window=3, max_frames=4, min_score=0.5)
    assert [untimed(row) for row in rows(done)] == [untimed(one.to_json()) for one in found]
    assert [row["frame"] for row in rows(done)] == [0, 2, 4, 6]
    assert "4 frames, " in done.stderr and "dropped" not in done.stderr


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        (["--fps", "5"], [0, 2, 4, 6, 8, 10]),
        (["--duration", "0.3"], [0, 1, 2]),
        (["--duration", "0.5", "--fps", "4"], [0, 3]),
        (["--max-frames", "1"], [0]),
        (["--stride", "50"], [0]),
    ],
)
def test_which_frames(clip: str, artifact_folder: Path, options: list[str], frames: list[int]) -> None:
    done = infer("--video", clip, "--json", *options, model=artifact_folder)
    assert [row["frame"] for row in rows(done)] == frames


def test_a_person_gets_a_line_whenever_the_label_changes(tmp_path: Path, artifact_folder: Path) -> None:
    import av

    with av.open(str(tmp_path / "two.avi"), "w") as container:
        stream: Any = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 4, 4, "rgb24"
        for number in range(20):
            pixels = np.full((4, 4, 3), 255 if 8 <= number < 14 else 0, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    clip = str(tmp_path / "two.avi")
    labels = [row["label"] for row in rows(infer("--video", clip, "--json", model=artifact_folder))]
    changes = [n for n in range(20) if n == 0 or labels[n] != labels[n - 1]]
    assert changes == [0, 8, 14]
    lines = infer("--video", clip, "--top-k", "2", model=artifact_folder).stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [f"{n / 10:.3f} s, frame {n}" for n in changes]
    assert all(len(line) <= 80 for line in lines)
    voted = infer("--video", clip, "--window", "20", "--json", model=artifact_folder)
    text = infer("--video", clip, "--window", "20", model=artifact_folder)
    votes = [row["vote"]["label"] for row in rows(voted)]
    assert len(text.stdout.splitlines()) == 1 + sum(a != b for a, b in pairwise(votes))
    rejected = infer("--video", clip, "--min-score", "1", model=artifact_folder).stdout
    assert rejected.startswith("0.000 s, frame 0: unknown (")


def test_on_a_terminal(clip: str, artifact_folder: Path) -> None:
    lines = screen_of(80, *EDGEFM, "infer", "--video", clip, "--model", str(artifact_folder))
    assert lines[0].startswith("0.000 s, frame 0: ") and lines[-1].startswith("12 frames, ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--video", "clip.mp4", "photo.png"], "PATH... has no meaning with --video"),
        (["--video", "clip.mp4", "--heatmap", "maps"], "--heatmap has no meaning with --video"),
        (["--video", "clip.mp4", "--show", "seen"], "--show has no meaning with --video"),
        (["--video", "clip.mp4", "--csv"], "--csv has no meaning with --video"),
        (["--video", "clip.mp4", "--recursive"], "--recursive has no meaning with --video"),
        (["--video", "clip.mp4", "--stride", "2", "--fps", "3"], "--stride and --fps exclude each other"),
        (["photo.png", "--stride", "2"], "--stride belongs to --video"),
        (["photo.png", "--no-live"], "--live belongs to --video"),
        (["photo.png", "--duration", "2"], "--duration belongs to --video"),
        ([], "Missing argument 'PATH...', or a video"),
        (["--video", "clip.mp4", "--window", "0"], "--window"),
        (["--video", "clip.mp4", "--fps", "0"], "--fps"),
        (["--video", ""], "is empty"),
    ],
)
def test_wrong_usage(clip: str, arguments: list[str], message: str) -> None:
    done = infer(*arguments, model="edgenet-s-onnx-int8")
    assert done.exit_code == 2 and message in done.stderr and not done.stdout


def test_what_cannot_be_read_is_one_error(clip: str, tmp_path: Path, artifact_folder: Path) -> None:
    make_sound(tmp_path / "sound.wav")
    (tmp_path / "notes.txt").write_text("text\n" * 50)
    (tmp_path / "a\nb.mp4").write_bytes(b"")
    Image.new("RGB", (8, 8)).save("photo.jpg")
    for name in ("missing.mp4", ".", "sound.wav", "notes.txt", "photo.jpg", "a\nb.mp4", "foo://x", "clip*.mp4"):
        done = infer("--video", name, "--json", model=artifact_folder)
        assert done.exit_code == 1 and not done.stdout, name
        assert done.stderr.startswith("Error: ") and len(done.stderr.splitlines()) == 2, done.stderr


def test_damaged_frames_are_rows_and_exit_code_4(tmp_path: Path, artifact_folder: Path) -> None:
    clip = make_clip(tmp_path / "a.avi", 8, codec="png", pixel_format="rgb24")
    content = bytearray(clip.read_bytes())
    places = [n for n in range(len(content)) if content.startswith(b"IHDR", n)]
    for place in places[2:4]:
        content[place + 4 : place + 12] = bytes(8)
    clip.write_bytes(content)
    done = infer("--video", str(clip), "--json", model=artifact_folder)
    assert done.exit_code == 4 and [row["frame"] for row in rows(done)] == list(range(8))
    assert [row["error"] is not None for row in rows(done)] == [n in (2, 3) for n in range(8)]
    assert "6 frames, " in done.stderr and "2 errors" in done.stderr
    assert done.stderr.count("is damaged") == 1  # the rows have every one
    for place in places:
        content[place + 4 : place + 12] = bytes(8)
    clip.write_bytes(content)
    assert infer("--video", str(clip), "--json", model=artifact_folder).exit_code == 1


def test_stdin_and_fifos(clip: str, tmp_path: Path, artifact_folder: Path) -> None:
    content = make_clip(tmp_path / "clip.ts", 12).read_bytes()
    command = [*EDGEFM, "infer", "--model", str(artifact_folder), "--json", "--quiet", "--video"]
    done = subprocess.run([*command, "-"], input=content, capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 12
    os.mkfifo("fifo")
    writer = threading.Thread(target=lambda: Path("fifo").write_bytes(content))
    writer.start()
    done = subprocess.run([*command, "fifo"], capture_output=True, check=True)
    writer.join(10)
    assert json.loads(done.stdout.splitlines()[0])["input"] == "fifo"


@pytest.mark.parametrize("moment", range(3))
def test_ctrl_c_ends_with_whole_lines_and_a_summary(moment: int, tmp_path: Path, artifact_folder: Path) -> None:
    """At once after a line, while others are printed, and while the pipe waits for more of the video."""
    content = make_clip(tmp_path / "clip.ts", 60).read_bytes()
    infer = [sys.executable, "-c", _WITH_SIGINT, "infer", "--model", str(artifact_folder), "--json", "--video", "-"]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(infer, **pipes) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(content)
        process.stdin.flush()  # and is not closed: there could be more
        lines = [process.stdout.readline() for _ in range([1, 20, 40][moment])]
        process.send_signal(signal.SIGINT)
        lines += process.stdout.read().splitlines()
        errors = process.stderr.read().decode()
        assert process.wait(60) == 130
    assert [json.loads(line)["frame"] for line in lines] == list(range(len(lines)))
    assert "Stopped by SIGINT" in errors and " frames/s" in errors and "Traceback" not in errors


_WITH_SIGINT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background of a shell it is ignored
from edge_fm.__main__ import main
main()
"""


def test_a_reader_that_has_seen_enough_ends_it(clip: str, artifact_folder: Path) -> None:
    command = " ".join([*EDGEFM, "infer", "--quiet", "--json", "--model", str(artifact_folder), "--video", clip])
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=True
    )
    line, code = done.stdout.splitlines()
    assert json.loads(line)["frame"] == 0 and code in ("0", "1") and not done.stderr


def test_photos_load_nothing_of_videos(artifact_folder: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "photo.png")
    arguments = ["infer", str(tmp_path / "photo.png"), "--model", str(artifact_folder)]
    code = (
        f"from edge_fm.cli import cli\ncli({arguments!r}, standalone_mode=False)\nimport sys\n"
        "print([m for m in sys.modules if m.partition('.')[0] == 'av' or '.streams' in m or '.video' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['edge_fm.streams']"  # the process's own standard streams
