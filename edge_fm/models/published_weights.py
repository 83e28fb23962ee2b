"""ImageNet weights: fetched once into Keras's cache, checked, and put into a backbone."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shlex
import sys
import urllib.error
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from edge_fm.models.architectures.backbones import WeightsFile
from edge_fm.models.keras_import import require_keras
from edge_fm.network import failure_reason, require_reachable
from edge_fm_runtime.errors import ModelError
from edge_fm_runtime.system.user_cache import expand_home, user_home, why_untrusted

_TIMEOUT_S = 30.0


def cached_path(file: WeightsFile) -> Path:
    """Where Keras stores the file: `$KERAS_HOME/models`, else `~/.keras/models`.

    Raises:
        ModelError: there is neither, as the user has no home folder.
    """
    given, home = os.environ.get("KERAS_HOME"), user_home()
    if given:
        return expand_home(given) / "models" / file.name
    if home is None:
        raise ModelError(
            f"There is no folder to keep {file.name} in: this user has no home folder.",
            hint="Name one: KERAS_HOME=FOLDER, or give the weights: --weights FILE. Without any: --weights none",
        )
    return home / ".keras" / "models" / file.name


def fetch_weights(file: WeightsFile) -> Path:
    """Fetch the file unless Keras's cache holds it; by Keras's own `get_file`, which checks its checksum, if any.

    Raises:
        ModelError: it cannot be fetched; names the file, its usual place and `--weights FILE`.
    """
    keras = require_keras("ImageNet weights")
    place = cached_path(file)
    if not file.checksum and os.access(place, os.F_OK) and (reason := why_untrusted(place)) is not None:
        raise ModelError(
            f"The ImageNet weights {file.name} have no published checksum, and {reason}.",
            hint=f"If they are yours: chmod go-w {shlex.quote(str(place))}. Else remove them, to be fetched again.",
        )
    try:
        if not _is_whole(place, file.checksum):
            require_reachable(file.url)
        with _quiet_stdout(), _timeout():
            return Path(
                keras.utils.get_file(
                    file.name,
                    file.url,
                    cache_dir=place.parents[1],
                    cache_subdir="models",
                    file_hash=file.checksum or None,
                )
            )
    except Exception as error:  # Keras raises a plain one where a server does not deliver
        if isinstance(error.__context__, urllib.error.HTTPError):
            error.__context__.close()  # Keras leaves the connection open
        raise ModelError(
            f"The ImageNet weights {file.name} cannot be fetched from {file.url}: "
            f"{failure_reason(error)}. Their usual place is {place}.",
            hint="Fetch them elsewhere and put them there, or give them: --weights FILE. Without any: --weights none",
        ) from error


def _is_whole(path: Path, checksum: str) -> bool:
    """Whether Keras will take the file as it is."""
    if not path.is_file():
        return False
    if not checksum:
        return True
    kind = "sha256" if len(checksum) == 64 else "md5"
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest() == checksum


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """Keras writes its progress to stdout, which belongs to data."""
    with contextlib.redirect_stdout(sys.stderr if sys.stderr.isatty() else io.StringIO()):
        yield


@contextlib.contextmanager
def _timeout() -> Iterator[None]:
    """Keras's download waits for a silent server forever."""
    import socket

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def copy_layers(layers: Iterable[Any], target: Any) -> None:
    """Copy the weights of each layer into the layer of `target` with the same name."""
    for layer in layers:
        if layer.weights:
            _copy(layer, target.get_layer(layer.name))


def copy_backbone(layers: Iterable[Any], target: Any) -> None:
    """Copy the weights of a backbone's layers into those of `target`, which has it at its beginning.

    By name; where Keras has counted names up, as it does for layers of keras.applications that have none of their own,
    by place.

    Raises:
        ModelError: a layer of the target has weights of other shapes.
    """
    sources = [layer for layer in layers if layer.weights]
    places = [layer for layer in target.layers if layer.weights]
    known = {layer.name for layer in places}
    if all(layer.name in known for layer in sources):
        copy_layers(sources, target)
        return
    for source, place in zip(sources, places, strict=False):
        ours, theirs = ([tuple(w.shape) for w in layer.weights] for layer in (place, source))
        if ours != theirs:
            raise ModelError(
                f"The backbone's layers stand in another order in {target.name}: {place.name} has weights of {ours}, "
                f"{source.name} of {theirs}."
            )
    for source, place in zip(sources, places, strict=False):
        _copy(source, place)


def _copy(source: Any, place: Any) -> None:
    place.set_weights(source.get_weights())
    if isinstance(place, require_keras("weights").layers.Normalization):
        place.finalize_state()  # which `set_weights` leaves as it was: the layer would go on with the old statistics
