"""Ray, started on this machine for one command, or a cluster that runs already."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from edge_fm_runtime.errors import ClusterError, EdgeFMError, MissingDependencyError
from edge_fm_runtime.system.machine import usable_cpus
from edge_fm_runtime.system.scratch import scratch_folder

DEATHS = 5
"""Times that workers may die on the same work, before that is an error."""
_CONNECT_S = 5.0
_PAUSE_S = 0.1
_ATTEMPTS = 3
_LONGEST_SOCKET = 107
_SOCKET = len("/ray/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class RayAddress:
    """Where Ray is.

    Attributes:
        address: what `ray.init` takes; None to start Ray on this machine, for this command alone.
    """

    address: str | None

    @classmethod
    def parse(cls, text: str) -> RayAddress:
        """Read "ray" (start it here), "auto" (the cluster that this machine belongs to), "HOST:PORT" or "ray://HOST:PORT".

        Raises:
            ClusterError: it is none of these.
        """
        if text == "ray":
            return cls(None)
        if text in ("auto", "ray://auto"):
            return cls("auto")
        match = re.fullmatch(r"(ray://)?([^\s:/]+|\[[0-9a-fA-F:]+\]):([0-9]{1,5})", text)
        if match is None or int(match[3]) > 65_535:
            raise ClusterError(
                f"{text!r} is not the address of a Ray cluster.",
                hint="Give ray (started here), auto (of the cluster that this machine belongs to), HOST:PORT of its "
                "head, or ray://HOST:PORT of a Ray client server.",
            )
        return cls(text)

    def require_reachable(self) -> None:
        """Knock before Ray does, which would wait for a minute.

        Raises:
            ClusterError: nothing listens there.
        """
        if self.address in (None, "auto"):
            return
        host, _, port = str(self.address).removeprefix("ray://").rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S):
                return
        except OSError as error:
            raise ClusterError(
                f"No Ray cluster can be reached at {self.address}: {error.strerror or error}.",
                hint="Start one: ray start --head   or run without a cluster: --on ray",
            ) from error


def require_ray() -> Any:
    """Import and return `ray`, which reports no usage.

    Raises:
        MissingDependencyError: it is not installed.
    """
    # Its core would catch SIGTERM itself, print its stack and abort, before this process can clean up. Read at import.
    with _environment({"RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1"}), _missing_ray():
        import ray
    return ray


@contextmanager
def _missing_ray() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("ray", "scale", "--on ray") from error


@contextmanager
def ray_errors(ray: Any) -> Iterator[None]:
    """Raise what went wrong in a worker as what it is."""
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, EdgeFMError | OSError):
            raise error.cause from error
        raise ClusterError(
            f"A worker failed: {(str(error.cause) or type(error.cause).__name__).splitlines()[0]}",
            hint="Run the same command again; it goes on where it was stopped.",
        ) from error
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"Workers ended, {DEATHS} times on the same work, or Ray did: {str(error).splitlines()[0]}",
            hint="Give the machines more memory or use fewer --workers, and run the same command again; it goes on "
            "where it was stopped.",
        ) from error


@contextmanager
def ray_session(where: RayAddress, *, cpus: int | None = None) -> Iterator[Any]:
    """Connect to Ray or start it; yields the module `ray`. What was started is stopped in the end.

    Meanwhile stdout is stderr. A Ray that this process has connected to already is used, and left as it is. Of one that
    is started here: no dashboard, no usage report, its files in a scratch folder, and a token that only its own
    processes have.

    Args:
        where: which Ray.
        cpus: that a Ray that is started here offers; None for as many as this process may use.

    Raises:
        ClusterError: it cannot be started or reached.
        MissingDependencyError: Ray is not installed.
    """
    token = {} if where.address is not None else _token()  # before Ray is imported
    ray = require_ray()
    if ray.is_initialized():
        if where.address is not None:
            raise ClusterError(
                "This process is connected to a Ray already.", hint='Call ray.shutdown() first, or give on="ray".'
            )
        yield ray
        return
    where.require_reachable()
    handlers = _signal_handlers()
    # Ray prints on stdout that a machine is lost, and there are results.
    with scratch_folder() as scratch, _surroundings(where, scratch, token), redirect_stdout(sys.stderr):
        try:
            try:
                _start(ray, where, cpus, scratch)
            except SystemExit:  # Ray's own handler of SIGTERM, which it installs before it starts anything
                _restore(handlers)
                signal.raise_signal(signal.SIGTERM)
                raise
            except Exception as error:  # Ray raises anything here, bare Exceptions included
                what = "Ray cannot be started here" if where.address is None else f"Ray at {where.address}"
                raise ClusterError(
                    f"{what}: {(str(error).strip() or type(error).__name__).splitlines()[0]}",
                    hint="See what Ray says: ray status   (a cluster with tokens takes them with RAY_AUTH_MODE=token)"
                    if where.address
                    else "Free some memory and shared memory, or run on one process, without --on.",
                ) from error
            _restore(handlers)
            yield ray
        finally:
            ray.shutdown()
            if where.address is None:
                _end_processes(scratch)
            _restore(handlers)


def _start(ray: Any, where: RayAddress, cpus: int | None, scratch: Path) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if where.address is not None:
        ray.init(address=where.address, **options)
        return
    options |= {"address": "local", "num_cpus": cpus or usable_cpus(), "include_dashboard": False}
    for attempt in range(_ATTEMPTS):
        try:
            ray.init(**options)
            return
        except Exception as error:
            # Ray waits for its own processes for 30 seconds and raises a bare Exception, as on a busy machine.
            if type(error) is not Exception or attempt == _ATTEMPTS - 1:
                raise
        ray.shutdown()
        _end_processes(scratch)


@cache
def _token() -> dict[str, str]:
    """Environment variables with a token that only this process and the ones that it starts have.

    Ray reads them when it is imported, so they stay the same for as long as this process lives. Where another part of
    the program has imported Ray already, its own setting holds.
    """
    if "ray" in sys.modules:
        return {}
    variables = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with _environment(variables):
        require_ray()
    return variables


@contextmanager
def _surroundings(where: RayAddress, scratch: Path, token: dict[str, str]) -> Iterator[None]:
    """The environment variables of a Ray that is started here; its ports are open to the network, hence the token."""
    if where.address is not None:
        yield
        return
    if len(os.fsencode(scratch)) + _SOCKET > _LONGEST_SOCKET:
        raise ClusterError(
            f"Ray's sockets would lie in {scratch}, and the system takes no such long names "
            f"({_LONGEST_SOCKET} bytes at most).",
            hint="Name a shorter folder for temporary files: TMPDIR=/tmp",
        )
    wanted = {
        "RAY_TMPDIR": str(scratch),
        "TMPDIR": str(scratch),  # what a worker leaves that is killed goes with the rest
        # Workers do the command's own work, so they have its priority.
        "RAY_worker_niceness": "0",
    }
    with _environment(wanted | token):
        yield


@contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _end_processes(scratch: Path) -> None:
    """End what Ray has left running of a session that was interrupted or failed to start, known by its own folder."""
    mark = b"RAY_TMPDIR=" + os.fsencode(scratch) + b"\0"
    while True:
        left = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes() + b"\0" and int(folder.name) != os.getpid():
                    left.append(int(folder.name))
        if not left:
            return
        for number in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)
        time.sleep(_PAUSE_S)


def _signal_handlers() -> dict[int, Any]:
    """This process's handlers of signals; Ray puts its own in their place when it starts."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) is not None}


def _restore(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
