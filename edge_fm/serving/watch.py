"""Look for artifacts that were replaced on disk, and swap them in once they are proven."""

from __future__ import annotations

import threading

from edge_fm.serving.metrics import Metrics
from edge_fm.serving.models import Models, ServedModel
from edge_fm.serving.snapshot import Stamp, stamp_of
from edge_fm_runtime.errors import EdgeFMError
from edge_fm_runtime.progress import MessageFn


class Watcher:
    """A thread that looks at the folders of all models every few seconds.

    A folder that has changed is opened once it looks the same twice: it may still be being copied. What cannot be
    opened or is not proven is refused with a note, and the old one goes on; it is looked at again when it changes.

    Args:
        models: what is served.
        seconds: between two looks.
        metrics: where swaps are counted.
        note: called with what happened, from the thread.
    """

    def __init__(self, models: Models, seconds: float, metrics: Metrics, note: MessageFn) -> None:
        self._models = models
        self._seconds = seconds
        self._metrics = metrics
        self._note = note
        self._stop = threading.Event()
        self._seen: dict[ServedModel, Stamp | str] = {}
        self._refused: dict[ServedModel, Stamp | str] = {}
        self._thread = threading.Thread(target=self._run, name="edgefm-watch", daemon=True)

    def start(self) -> None:
        """Begin to look; does nothing where the time between two looks is 0."""
        if self._seconds > 0:
            self._thread.start()

    def stop(self) -> None:
        """Look no more, and wait until a swap that has begun is done."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            for model in self._models:
                self.look(model)

    def look(self, model: ServedModel) -> None:
        """Swap a model in if its folder has changed, is at rest, and is proven."""
        current: Stamp | str
        try:
            current = stamp_of(model.folder)
        except (EdgeFMError, OSError) as error:
            current = str(error)
        before, self._seen[model] = self._seen.get(model), current
        if current == model.generation.opened.stamp:
            self._refused.pop(model, None)
            return
        if current != before or current == self._refused.get(model):
            return
        reason = current if isinstance(current, str) else self._swap(model)
        if reason is None:
            self._refused.pop(model, None)
            self._metrics.swapped(model.name, "swapped")
            self._note(f"{model.name} (version {model.version}) was replaced by what lies in {model.folder}.")
        else:
            self._refused[model] = current
            self._metrics.swapped(model.name, "refused")
            self._note(f"{model.name} (version {model.version}) is served as before: {reason}")

    def _swap(self, model: ServedModel) -> str | None:
        """Why the model was not swapped; None where it was."""
        try:
            self._models.reload(model)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the new one, the old one goes on
            return str(error) or type(error).__name__
        return None
