"""The models that are served, by name and version; one may be swapped while requests use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edge_fm.serving.batching import Batcher
from edge_fm.serving.limits.refusals import Refusal
from edge_fm.serving.options import ModelSource, ServeOptions, checked_name
from edge_fm.serving.snapshot import Opened, folder_of, open_verified
from edge_fm_runtime.classifier import Classifier
from edge_fm_runtime.errors import ArtifactError


class Generation:
    """One opened artifact, which is closed when it was replaced and the last request that uses it has ended.

    Args:
        opened: the artifact.
        batcher: takes canvases for its engine.
    """

    def __init__(self, opened: Opened, batcher: Batcher) -> None:
        self.opened = opened
        self.classifier: Classifier = opened.classifier
        self.batcher = batcher
        self.users = 0
        self.replaced = False


class ServedModel:
    """A model under one name and version.

    Args:
        name: in addresses.
        version: a whole number, as text.
        folder: where the artifact lies, and where another may take its place.
        generation: the opened artifact.
    """

    def __init__(self, name: str, version: str, folder: Path, generation: Generation) -> None:
        self.name = name
        self.version = version
        self.folder = folder
        self._generation = generation
        self._lock = threading.Lock()

    @property
    def generation(self) -> Generation:
        """What new requests use."""
        return self._generation

    @contextmanager
    def use(self) -> Iterator[Generation]:
        """The opened artifact, which stays open for as long as this lasts, also where it is replaced meanwhile."""
        with self._lock:
            generation = self._generation
            generation.users += 1
        try:
            yield generation
        finally:
            with self._lock:
                generation.users -= 1
                done = generation.replaced and not generation.users
            if done:
                _close(generation)

    def swap(self, generation: Generation) -> None:
        """Let new requests use another opened artifact."""
        with self._lock:
            old, self._generation = self._generation, generation
            old.replaced = True
            done = not old.users
        if done:
            _close(old)

    def close(self) -> None:
        """Close the artifact, now or when the last request that uses it has ended."""
        with self._lock:
            self._generation.replaced = True
            done = not self._generation.users
        if done:
            self._generation.opened.resources.close()


def _close(generation: Generation) -> None:
    # Not in the event loop, where a request may have been the last one: unloading a model may take a while.
    threading.Thread(target=generation.opened.resources.close, name="edgefm-close").start()


class Models:
    """All models of a server.

    Args:
        sources: the artifacts.
        options: of the server.
        observe: called with a model's name and the size of each batch of photos.

    Raises:
        EdgeFMError: an artifact cannot be opened, is not proven, or two have the same name and version.
    """

    def __init__(
        self, sources: Sequence[ModelSource], options: ServeOptions, observe: Callable[[str, int], None]
    ) -> None:
        self._options = options
        self._observe = observe
        self._models: dict[str, dict[str, ServedModel]] = {}
        try:
            for source in sources:
                self._add(source)
        except BaseException:
            self.close()
            raise

    def _add(self, source: ModelSource) -> None:
        folder = folder_of(source.path)
        opened = open_verified(folder, self._options)
        try:
            name = checked_name(source.name or opened.name)
            versions = self._models.setdefault(name, {})
            if source.version in versions:
                raise ArtifactError(
                    f"Two artifacts are to be served as version {source.version} of {name}: "
                    f"{versions[source.version].folder} and {folder}.",
                    hint=f"Give them names or versions: OTHER={folder} or {name}@{int(source.version) + 1}={folder}",
                )
        except BaseException:
            opened.resources.close()
            raise
        versions[source.version] = ServedModel(name, source.version, folder, self._generation(name, opened))

    def _generation(self, name: str, opened: Opened) -> Generation:
        batcher = Batcher(
            opened.classifier.predict_pixels,
            max_size=self._options.max_batch_size,
            delay_s=self._options.batch_delay_ms / 1e3,
            observe=lambda size: self._observe(name, size),
        )
        return Generation(opened, batcher)

    def __iter__(self) -> Iterator[ServedModel]:
        for versions in self._models.values():
            yield from versions.values()

    def versions(self, name: str) -> list[str]:
        """The versions of a model, lowest first; empty where there is no such model."""
        return sorted(self._models.get(name, ()), key=int)

    def find(self, name: str, version: str | None) -> ServedModel:
        """A model by its name; the highest version where none is named.

        Raises:
            Refusal: with status 404, there is none.
        """
        if name not in self._models:
            raise Refusal(404, f"There is no model {name!r}; there are: {', '.join(self._models)}.")
        versions = self._models[name]
        if version is None:
            return versions[self.versions(name)[-1]]
        if version not in versions:
            raise Refusal(
                404, f"There is no version {version!r} of {name}; there are: {', '.join(self.versions(name))}."
            )
        return versions[version]

    def reload(self, model: ServedModel) -> None:
        """Open and verify what lies in a model's folder now, and let new requests use it.

        Raises:
            EdgeFMError, OSError: it is not used; the old one goes on.
        """
        model.swap(self._generation(model.name, open_verified(model.folder, self._options)))

    def close(self) -> None:
        """Close every model once the requests that use it have ended."""
        for model in self:
            model.close()
