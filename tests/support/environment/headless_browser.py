"""A page in headless Chromium, driven over its debugging pipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed")


class Page:
    """One page; calls are those of Chromium's debugging protocol."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.requested: list[str] = []
        """The addresses that the page asked for."""

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            received = self._receive()
            if received.get("method") == "Network.requestWillBeSent":
                self.requested.append(received["params"]["request"]["url"])
            if received.get("id") == self._number:
                assert "error" not in received, received
                return received["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            self._rest += os.read(self._read, 1 << 16)
        one, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(one))

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression holds."""
        limit = time.monotonic() + 60
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < limit, self.run("document.body.innerText")
            time.sleep(0.02)

    def open(self, address: str, width: int = 1200, *, dark: bool = False) -> None:
        """Open an address in a window of this width, in the light or the dark scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.requested.clear()
        self.call("Page.navigate", url=address)
        self.wait(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(address)})")

    def give_file(self, selector: str, file: Path) -> None:
        """Select a file in an input, as a person does."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])


def take_photo(page: Page) -> None:
    """Stop the camera and start it again, take a photo, and wait for its predictions or for the error."""
    shown = "document.getElementById('video').videoWidth > 0 && !document.getElementById('take').hidden"
    for button in ("camera", "stop", "camera"):
        page.run(f"document.getElementById('{button}').click()")
        page.wait("document.getElementById('stop').hidden" if button == "stop" else shown)
    page.run("document.getElementById('take').click()")
    page.wait("!document.getElementById('result').hidden || document.getElementById('error').textContent")


@contextmanager
def browser_page(profile: Path) -> Iterator[Page]:
    """A page of a browser that has its profile in `profile`, and a camera that shows a test pattern."""
    assert CHROMIUM is not None
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    # The browser reads from descriptor 3 and writes to 4; a shell moves them there.
    moved = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    flags = [
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={profile}",
        "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    ]  # fmt: skip
    process = subprocess.Popen(
        ["bash", "-c", moved, "chromium", CHROMIUM, *flags],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        page = Page(ours_out, ours_in)
        page.attach()
        yield page
    finally:
        process.kill()
        process.wait()
        os.close(ours_out)
        os.close(ours_in)
