"""Frames of real clips: what `open_video` gives is what PyAV's own frames are, turned upright."""

from __future__ import annotations

import gc
import sys
import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from video_clips import make_clip, make_sound, stored_frames, turned

from edge_fm_runtime import Classifier, Failure, VideoError, open_video
from edge_fm_runtime.errors import MissingDependencyError
from edge_fm_runtime.photos.colour import orient
from edge_fm_runtime.streams.upright import orientation_of

KINDS: dict[str, dict[str, Any]] = {
    "h264.mp4": {},
    "h264.mkv": {"size": (66, 50)},
    "ts.ts": {},
    "odd.mkv": {"codec": "ffv1", "pixel_format": "yuv444p", "size": (63, 47)},
    "grey.mkv": {"codec": "ffv1", "pixel_format": "gray"},
    "ten-bit.mkv": {"codec": "ffv1", "pixel_format": "yuv420p10le"},
    "rgb.mkv": {"codec": "ffv1", "pixel_format": "bgr0"},
    "jpegs.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "moving.gif": {"codec": "gif", "pixel_format": "rgb8"},
}


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_of_files(name: str, tmp_path: Path, artifact_folder: Path) -> None:
    """Of every kind: bit for bit the same pixels, classes and scores as the frames saved as PNG."""
    clip = make_clip(tmp_path / name, 5, **KINDS[name])
    stored = stored_frames(clip)
    assert len(stored) == 5
    files = [tmp_path / f"{number}.png" for number in range(5)]
    for file, image in zip(files, stored, strict=True):
        image.save(file)
    with Classifier.load(artifact_folder) as classifier, open_video(clip) as video:
        results = list(classifier.classify_stream(video, top_k=3))
        photos = list(classifier.classify_many(files, top_k=3))
    assert [one.prediction.top for one in results] == [one.top for one in photos]  # type: ignore[union-attr]
    assert [one.frame for one in results] == list(range(5))
    assert {one.prediction.input for one in results} == {str(clip)}
    with open_video(clip) as video:
        assert (video.width, video.height) == stored[0].size and not video.live
        pixels = [np.asarray(frame.load().convert("RGB")) for frame in video]  # type: ignore[union-attr]
    assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(pixels, stored, strict=True))


MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


@pytest.mark.parametrize("orientation", MATRICES)
def test_phone_videos_are_turned_upright(orientation: int, tmp_path: Path) -> None:
    import av

    clip = turned(make_clip(tmp_path / "a.mp4", 2), tmp_path / "turned.mp4", MATRICES[orientation])
    expected = [orient(image, orientation) for image in stored_frames(clip)]
    with open_video(clip) as video:
        found = [frame.load() for frame in video]
    assert [np.asarray(image).tolist() for image in found] == [np.asarray(image).tolist() for image in expected]
    with av.open(str(clip)) as container:  # counterclockwise, by FFmpeg's own reading of the matrix
        rotation = next(container.decode(video=0)).rotation
    if orientation in (1, 3, 6, 8):
        assert rotation % 360 == {1: 0, 3: 180, 6: 270, 8: 90}[orientation]


def test_an_angle_that_no_camera_writes_is_refused(tmp_path: Path) -> None:
    clip = turned(make_clip(tmp_path / "a.mp4", 2), tmp_path / "turned.mp4", (0.7071, 0.7071, -0.7071, 0.7071))  # type: ignore[arg-type]
    with open_video(clip) as video, pytest.raises(VideoError, match="angle"):
        next(iter(video)).load()
    with pytest.raises(VideoError, match="angle"):
        orientation_of(bytes(36))


def test_transparent_frames_stand_on_white_as_photos_do(tmp_path: Path, artifact_folder: Path) -> None:
    import av

    clip = tmp_path / "clear.mov"
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:8, :, 3] = 255
    with av.open(str(clip), "w") as container:
        stream: Any = container.add_stream("png", rate=5)
        stream.width = stream.height = 16
        stream.pix_fmt = "rgba"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba")))
        container.mux(stream.encode())
    with Classifier.load(artifact_folder) as classifier, open_video(clip) as video:
        frame = next(iter(video))
        canvas = classifier.canvas(frame.load())
        photo = classifier.canvas(Image.fromarray(pixels))
    assert np.array_equal(canvas, photo) and canvas.max() > 200


def test_timestamps_are_those_of_the_stream(tmp_path: Path) -> None:
    times = [0, 40, 45, 300, 1000]
    clip = make_clip(tmp_path / "variable.mkv", 5, codec="ffv1", pixel_format="yuv444p", times_ms=times)
    with open_video(clip) as video:
        assert [frame.time_s for frame in video] == [time / 1000 for time in times]
    with open_video(make_clip(tmp_path / "a.mp4", 4)) as video:
        assert video.fps == 10 and video.duration_s == pytest.approx(0.4)
        assert [frame.time_s for frame in video] == pytest.approx([0, 0.1, 0.2, 0.3])
        with pytest.raises(VideoError, match="has been read"):
            iter(video)


def test_a_person_is_told_what_changes_the_pixels(tmp_path: Path) -> None:
    wide = make_clip(tmp_path / "wide.mkv", 2, pixel_aspect=Fraction(4, 3))
    hlg = make_clip(tmp_path / "hlg.mp4", 2, curve=18)
    with open_video(wide) as video:
        assert video.notes == ("The video's pixels are not square (4:3); frames are taken as stored.",)
    with open_video(hlg) as video:
        assert len(video.notes) == 1 and "HDR (HLG)" in video.notes[0]
    with open_video(make_clip(tmp_path / "plain.mp4", 2)) as video:
        assert video.notes == ()


def broken_files(folder: Path) -> dict[str, tuple[str, str]]:
    """Name of a file that cannot be read -> what the error says, and what to do."""
    (folder / "notes.txt").write_text("just some text\n" * 90)
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    whole = make_clip(folder / "whole.mp4").read_bytes()
    (folder / "headless.mp4").write_bytes(whole[: len(whole) // 2])  # the index is at the end
    make_sound(folder / "sound.wav")
    Image.new("RGB", (32, 32)).save(folder / "image.png")
    (folder / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n")
    (folder / "list.ffconcat").write_text("ffconcat version 1.0\nfile whole.mp4\n")
    return {
        "notes.txt": ("not a video", ""),
        "noise.mp4": ("not a video that can be read", "Copy it again."),
        "headless.mp4": ("not a video that can be read, or is cut short", "Copy it again."),
        "sound.wav": ("holds no video, but audio", "Name another file."),
        "image.png": ("not a video", ""),
        "list.m3u8": ("not a video", ""),
        "list.ffconcat": ("not a video", ""),
        "/dev/null": ("cannot be opened as a camera: Inappropriate ioctl", ""),
    }


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, (message, hint) in broken_files(tmp_path).items():
        with pytest.raises(VideoError) as raised:
            open_video(name)
        assert name in raised.value.message and message in raised.value.message, name
        assert raised.value.hint and hint in raised.value.hint, name


def test_frames_that_are_too_large_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2)
    with pytest.raises(VideoError, match=r"frames of 64x48 pixels; they are read up to 3,000 pixels"):
        open_video(clip, max_pixels=3000)


def test_a_frame_that_cannot_be_decoded_is_a_failure_and_the_others_are_classified(
    tmp_path: Path, artifact_folder: Path
) -> None:
    clip = make_clip(tmp_path / "a.avi", 8, codec="png", pixel_format="rgb24")
    content = bytearray(clip.read_bytes())
    at = [n for n in range(len(content)) if content.startswith(b"IHDR", n)]
    content[at[3] + 4 : at[3] + 12] = bytes(8)  # no width, no height
    clip.write_bytes(content)
    with Classifier.load(artifact_folder) as classifier, open_video(clip) as video:
        results = list(classifier.classify_stream(video))
    assert [isinstance(one.prediction, Failure) for one in results] == [number == 3 for number in range(8)]
    error = results[3].to_json()
    assert "A frame of" in error["error"] and "is damaged" in error["error"] and error["time_s"] is None
    assert [one.frame for one in results] == list(range(8))


def test_a_clip_that_is_cut_short_gives_the_frames_that_are_there(tmp_path: Path, artifact_folder: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", 30, codec="ffv1", pixel_format="yuv444p")
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) * 2 // 3])
    with Classifier.load(artifact_folder) as classifier, open_video(clip) as video:
        results = list(classifier.classify_stream(video))
    good = [one for one in results if not isinstance(one.prediction, Failure)]
    assert 15 <= len(good) < 25
    assert [one.frame for one in good] == list(range(len(good)))
    assert video.missing_s == pytest.approx((30 - len(good)) / 10, abs=0.01)
    with open_video(make_clip(tmp_path / "whole.mkv", 30)) as video:
        assert len(list(video)) == 30 and video.missing_s == 0


def test_a_live_file_is_paced_by_its_timestamps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is the test's own: nothing depends on how fast this machine is."""
    clip = make_clip(tmp_path / "a.mp4", 5)
    waits: list[float] = []
    now = 100.0
    monkeypatch.setattr("edge_fm_runtime.streams.video.monotonic", lambda: now)
    with open_video(clip, live=True) as video:
        assert video.live
        monkeypatch.setattr(video._stopped, "wait", waits.append)
        frames = iter(video)
        for _ in range(5):
            next(frames)
            now += 0.05
    assert waits == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    with open_video(clip) as video:
        monkeypatch.setattr(video._stopped, "wait", waits.append)
        assert len(list(video)) == 5 and len(waits) == 5


def test_closing_ends_a_reader_on_another_thread(tmp_path: Path) -> None:
    video = open_video(make_clip(tmp_path / "a.mp4", 30), live=True)
    frames = []
    reader = threading.Thread(target=lambda: frames.extend(video))
    reader.start()
    video.close()
    reader.join(10)
    assert not reader.is_alive() and len(frames) < 30
    with pytest.raises(VideoError, match="read or closed"):
        iter(video)


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError) as raised:
        open_video("clip.mp4")
    assert raised.value.message == "Reading a video needs av (PyAV), which is not installed."
    assert raised.value.hint == "pip install 'edge-fm[video]'"


def test_frames_leave_memory_without_the_garbage_collector(tmp_path: Path) -> None:
    """A frame of PyAV that is in a circle stays until Python collects circles, hundreds of frames later."""
    import av

    clip = make_clip(tmp_path / "a.mp4", 40)
    gc.collect()
    gc.disable()
    try:
        with open_video(clip) as video:
            for frame in video:
                frame.load()
            del frame
        held = sum(isinstance(one, av.VideoFrame) for one in gc.get_objects())
    finally:
        gc.enable()
    assert held < 8
