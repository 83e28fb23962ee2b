"""Headless Chromium, driven over its debugging pipe (Chrome DevTools Protocol): no port, no other package."""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge_fm_runtime.errors import EngineError, MissingDependencyError
from edge_fm_runtime.system.own_processes import add_process, remove_process

ENVIRONMENT = "EDGEFM_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")
_FLAGS = (
    "--headless=new", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-domain-reliability", "--disable-breakpad",
    "--disable-features=OptimizationHints,MediaRouter", "--metrics-recording-only", "--password-store=basic",
    "--remote-debugging-pipe", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
"""Nothing leaves this machine: every name of a host is unknown to the browser."""
_WITHOUT_GPU = ("--disable-gpu",)
_WITH_GPU = ("--enable-unsafe-webgpu", "--ignore-gpu-blocklist")
START_S = 60.0


def find_chromium() -> str:
    """The browser's program: what `EDGEFM_CHROMIUM` names, else the first one on the path.

    Raises:
        MissingDependencyError: there is none.
    """
    given = os.environ.get(ENVIRONMENT)
    found = shutil.which(given) if given else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        what = f"{given}, which {ENVIRONMENT} names, is no program" if given else "none is installed"
        raise MissingDependencyError(
            f"The web engine needs Chromium, Chrome or Edge; {what}.",
            hint=f"apt install chromium   or name the program: {ENVIRONMENT}=/path/to/chrome",
        )
    return found


def has_chromium() -> bool:
    """Whether a browser is there that `Chromium` can drive."""
    if not hasattr(os, "posix_spawn"):
        return False
    try:
        find_chromium()
    except MissingDependencyError:
        return False
    return True


def _start(command: list[str]) -> tuple[int, int, int]:
    """Start a browser that reads from its descriptor 3 and writes to 4; its process, and our ends of the two pipes."""
    import fcntl  # which Windows does not have

    theirs_in, write = os.pipe()
    read, theirs_out = os.pipe()
    # Above the numbers that they will have, so that neither is overwritten by the other.
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in (theirs_in, theirs_out)]
    nothing = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    moved = [(os.POSIX_SPAWN_DUP2, descriptor, number) for descriptor, number in zip(high, (3, 4), strict=True)]
    try:
        # A group of its own, so that Ctrl-C ends it through `close`, with all of its processes.
        process = os.posix_spawn(command[0], command, os.environ, file_actions=[*nothing, *moved], setpgroup=0)
    except OSError as error:
        os.close(write)
        os.close(read)
        raise EngineError(f"{command[0]} cannot be started: {error.strerror}.") from error
    finally:
        for descriptor in (theirs_in, theirs_out, *high):
            os.close(descriptor)
    return process, write, read


class Chromium:
    """One page of a browser of its own; not safe to use from several threads at once.

    Args:
        profile: empty folder for the browser's files.
        gpu: let it use a GPU.

    Raises:
        EngineError: the browser does not start, or the system is one where it cannot be driven.
        MissingDependencyError: there is none.
    """

    def __init__(self, profile: Path, *, gpu: bool = False) -> None:
        if not hasattr(os, "posix_spawn"):
            raise EngineError(
                "The web engine drives Chromium on Linux and macOS alone.",
                hint="Open the page in a browser instead, and press Verify: python -m http.server --directory ARTIFACT",
            )
        program = find_chromium()
        flags = [*_FLAGS, *(_WITH_GPU if gpu else _WITHOUT_GPU), f"--user-data-dir={profile}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            flags.append("--no-sandbox")  # which it cannot have as root; the page is the artifact's own
        self._pid, self._write, self._read = _start([program, *flags, "about:blank"])
        self._rest = bytearray()
        self._number = 0
        self._session: str | None = None
        self._closed = False
        add_process(self._pid)
        # A process that ends without closing its engine leaves no browser behind, and none that writes into the
        # profile's folder while it is removed.
        atexit.register(self.close)
        try:
            target = self.call("Target.createTarget", START_S, url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", START_S, targetId=target, flatten=True)["sessionId"]
            self.call("Page.enable", START_S)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, timeout_s: float, **parameters: Any) -> Any:
        """The result of a method of the protocol.

        Raises:
            EngineError: the browser ended, does not respond in time, or refuses.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        limit = time.monotonic() + timeout_s
        try:
            left = memoryview(json.dumps(message).encode() + b"\0")
            while left:
                left = left[os.write(self._write, left) :]
        except OSError as error:
            raise EngineError("The browser has ended.", hint="Start it again; is there enough memory?") from error
        while True:
            received = self._receive(limit)
            if received.get("id") != self._number:
                continue
            if "error" in received:
                raise EngineError(f"The browser refuses {method}: {received['error'].get('message')}")
            return received["result"]

    def evaluate(self, script: str, timeout_s: float) -> Any:
        """The value of an expression of JavaScript; a promise's once it is there.

        Raises:
            EngineError: the script failed; its message is the page's.
        """
        found = self.call("Runtime.evaluate", timeout_s, expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            thrown = found["exceptionDetails"]
            text = thrown.get("exception", {}).get("description") or thrown.get("text")
            raise EngineError(str(text).split("\n    at ")[0].removeprefix("Error: "))
        return found["result"].get("value")

    def close(self) -> None:
        """End the browser; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        remove_process(self._pid)
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._write)
        os.close(self._read)

    def _receive(self, limit: float) -> dict[str, Any]:
        while (end := self._rest.find(b"\0")) < 0:
            ready, _, _ = select.select([self._read], [], [], max(0.0, limit - time.monotonic()))
            if not ready:
                raise EngineError("The browser does not respond in time.")
            part = os.read(self._read, 1 << 20)
            if not part:
                raise EngineError("The browser has ended.", hint="Start it again; is there enough memory?")
            self._rest += part
        one = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return dict(json.loads(one))
