"""The page at `/` in a real browser: a photo is selected or dropped, its predictions or the error are shown."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from headless_browser import Page, browser_page, needs_chromium, take_photo
from running_server import Running, needs_server, running

from edge_fm import Classifier
from edge_fm.data import load_dataset, sample_photo

pytestmark = [needs_server, needs_chromium]
MODEL = "edgenet-s-onnx-int8"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser_page(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(MODEL, f"second={MODEL}") as found:
        yield found


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    test = load_dataset("fashion-mnist-mini").test
    file = tmp_path_factory.mktemp("photos") / "boot.jpg"
    sample_photo(test.images[int((test.labels == 9).argmax())], file)
    return file


def shown(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector({json.dumps(selector)}).textContent"))


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_a_photo_is_classified_and_nothing_leaves_the_machine(
    page: Page, server: Running, boot: Path, width: int, dark: bool
) -> None:
    page.open(f"{server.serving.url}/", width, dark=dark)
    page.wait("document.querySelectorAll('#model option').length === 2")
    page.give_file("#file", boot)
    page.wait("!document.getElementById('result').hidden")
    with Classifier.load(MODEL) as classifier:
        expected = classifier.classify(boot, top_k=5)
    labels = page.run("[...document.querySelectorAll('#rows th')].map((cell) => cell.textContent)")
    assert labels == [prediction.label for prediction in expected.top]
    assert shown(page, "#status").startswith(f"Ankle boot, {100 * expected.score:.1f}")
    assert page.run("document.getElementById('canvas').naturalWidth") == 28
    assert page.run("document.documentElement.scrollWidth <= window.innerWidth")
    text = page.run("getComputedStyle(document.body).color")
    assert text == ("rgb(255, 255, 255)" if dark else "rgb(0, 0, 0)")  # the browser's own, of the scheme
    assert page.requested and all(
        address.startswith((server.serving.url, "data:", "blob:")) for address in page.requested
    )


def test_a_dropped_photo_is_classified(page: Page, server: Running, boot: Path) -> None:
    page.open(f"{server.serving.url}/")
    page.wait("document.querySelectorAll('#model option').length === 2")
    content = base64.b64encode(boot.read_bytes()).decode()
    page.run(
        f"""(() => {{
            const bytes = Uint8Array.from(atob("{content}"), (one) => one.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], "boot.jpg", {{ type: "image/jpeg" }}));
            const event = new DragEvent("drop", {{ dataTransfer: data, bubbles: true, cancelable: true }});
            document.getElementById("drop").dispatchEvent(event);
        }})()"""
    )
    page.wait("!document.getElementById('result').hidden")
    assert shown(page, "#rows th") == "Ankle boot"


def test_what_is_no_photo_is_an_error_that_is_shown(page: Page, server: Running, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    page.open(f"{server.serving.url}/")
    page.wait("document.querySelectorAll('#model option').length === 2")
    page.give_file("#file", tmp_path / "notes.txt")
    page.wait("document.getElementById('error').textContent")
    assert "not a photo that can be read" in shown(page, "#error") and shown(page, "#status") == ""
    assert page.run("document.getElementById('result').hidden")


def test_a_photo_of_the_camera_is_classified_and_the_camera_is_stopped(page: Page, server: Running) -> None:
    page.open(f"{server.serving.url}/")
    page.wait("document.querySelectorAll('#model option').length === 2")
    take_photo(page)
    assert shown(page, "#error") == "" and page.run("document.querySelectorAll('#rows tr').length") == 5
    hidden = "['video', 'take', 'stop'].every((name) => document.getElementById(name).hidden)"
    assert page.run(hidden) and not page.run("document.getElementById('video').srcObject.active")


def test_a_token_is_asked_for(page: Page, boot: Path) -> None:
    with running(MODEL, token="secret") as server:
        page.open(f"{server.serving.url}/")
        page.wait("!document.getElementById('token-row').hidden")
        assert "does not carry this server's token" in shown(page, "#error")
        page.run("document.getElementById('token').value = 'secret'; document.getElementById('use-token').click()")
        page.wait("document.querySelectorAll('#model option').length === 1")
        page.give_file("#file", boot)
        page.wait("!document.getElementById('result').hidden")
        assert shown(page, "#rows th") == "Ankle boot" and shown(page, "#error") == ""


def test_every_control_has_a_name_for_screen_readers_and_is_reached_by_the_keyboard(
    page: Page, server: Running
) -> None:
    page.open(f"{server.serving.url}/")
    page.wait("document.querySelectorAll('#model option').length === 2")
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    controls = {
        node["role"]["value"]: node["name"]["value"]
        for node in tree
        if not node.get("ignored") and node["role"]["value"] in ("combobox", "button", "main", "heading")
    }
    assert controls["combobox"] == "Model" and controls["heading"] == "Classify a photo"
    names = [node["name"]["value"] for node in tree if not node.get("ignored") and node["role"]["value"] == "button"]
    assert any("Drop a photo here" in name for name in names) and "Use the camera" in names
    reached = []
    for _ in range(3):
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(page.run("document.activeElement.id"))
    assert reached == ["model", "file", "camera"]
