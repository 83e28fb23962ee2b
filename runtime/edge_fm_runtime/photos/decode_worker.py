"""Photos to canvases in a separate process: the many small steps of a canvas cost Python's lock, not the CPU.

A pair of pipes carries requests and replies, so that nothing of the caller's program is imported again, as
`multiprocessing` would. Request: length and bytes of a path. Reply: status, milliseconds, length, and the canvas's
pixels or, for a photo that cannot be read, JSON of the error.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from time import perf_counter_ns
from typing import IO, cast

import numpy as np

from edge_fm_runtime.arrays import Pixels
from edge_fm_runtime.artifacts.metadata import PhotoSpec
from edge_fm_runtime.errors import PhotoError
from edge_fm_runtime.photos.file import shown_name
from edge_fm_runtime.photos.photo import load_canvas
from edge_fm_runtime.system.allocator import MMAP_THRESHOLD, TRIM_THRESHOLD
from edge_fm_runtime.system.child_process import child_command

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REQUEST = struct.Struct("<I")
_KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(TRIM_THRESHOLD), "MALLOC_MMAP_THRESHOLD_": str(MMAP_THRESHOLD)}
_REPLY = struct.Struct("<?dI")


class DecodeWorker:
    """A child process that turns paths into canvases, one after another; for one thread.

    Args:
        shape: height, width and channels of the canvas.
        spec: how a photo meets it.
        max_pixels: see `photo.load_canvas`.
    """

    def __init__(self, shape: tuple[int, int, int], spec: PhotoSpec, max_pixels: int) -> None:
        self._shape = shape
        given: dict[str, object] = {"shape": shape, "mode": spec.mode, "background": spec.background, "fill": spec.fill}
        given["max_pixels"] = max_pixels
        self._command = child_command("edge_fm_runtime.photos.decode_worker", json.dumps(given))
        self._process = self._start()

    def canvas(self, path: str) -> tuple[Pixels, float]:
        """The canvas of a photo, uint8 `[H,W,C]`, and the milliseconds it took.

        Raises:
            PhotoError: it is not a readable image, or the process ended on it.
        """
        name = os.fsencode(path)
        source, sink = cast("IO[bytes]", self._process.stdout), cast("IO[bytes]", self._process.stdin)
        try:
            sink.write(_REQUEST.pack(len(name)) + name)
            sink.flush()
            ok, took_ms, length = _REPLY.unpack(_read(source, _REPLY.size))
            content = _read(source, length)
        except (EOFError, BrokenPipeError) as error:
            self.close()
            code = self._process.returncode
            self._process = self._start()
            raise PhotoError(
                f"{shown_name(path)} ended the process that decoded it (exit status {code}).",
                hint="Save the photo anew as JPEG or PNG; give the machine more memory if it ran out.",
            ) from error
        if not ok:
            reason = json.loads(content)
            raise PhotoError(reason["message"], hint=reason["hint"])
        return np.frombuffer(content, np.uint8).reshape(self._shape), took_ms

    def close(self) -> None:
        """End the process."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:  # it died with a request unread, and closing flushes
                    continue
        self._process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = _KEEP_MEMORY | os.environ
        # Ctrl-C, `timeout` and supervisors signal the whole group. A child takes over which signals are blocked, for as
        # long as it lives: the parent alone handles them, and closing the pipe ends the child.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)
        try:
            return subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read(stream: IO[bytes], length: int) -> bytes:
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return content


def main(arguments: list[str]) -> None:
    """Serve with the settings of the one argument, a JSON object; run in the child."""
    serve(json.loads(arguments[0]))


def serve(given: dict[str, object]) -> None:
    """Serve requests until stdin ends, or nobody reads the replies; run in the child."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    shape = cast("tuple[int, int, int]", tuple(cast("list[int]", given["shape"])))
    spec = PhotoSpec(given["mode"], given["background"], given["fill"])  # type: ignore[arg-type]  # the parent's own
    limit = cast(int, given["max_pixels"])
    while head := source.read(_REQUEST.size):
        path = os.fsdecode(source.read(_REQUEST.unpack(head)[0]))
        start = perf_counter_ns()
        try:
            ok, content = True, load_canvas(path, shape, spec, max_pixels=limit).tobytes()
        except PhotoError as error:
            ok, content = False, json.dumps({"message": error.message, "hint": error.hint}).encode()
        try:
            sink.write(_REPLY.pack(ok, (perf_counter_ns() - start) / 1e6, len(content)) + content)
            sink.flush()
        except BrokenPipeError:
            os._exit(0)  # the parent is gone, however it ended; an orderly end would flush again
