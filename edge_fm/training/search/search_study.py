"""The Optuna study behind a search: where it is stored, how values are sampled, and trials whose process died."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import platform
import shlex
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_fm.training.recipe.search_space import Dimension, SearchPlan
from edge_fm_runtime.errors import MissingDependencyError, TrainingError
from edge_fm_runtime.system.user_cache import why_untrusted

# Seconds between the heartbeats of a trial, and after which it counts as dead.
_BEAT_S, _GRACE_S = 30, 120
# Seconds to wait for another process's write to a database file.
_BUSY_S = 60
# Two processes that begin a study at once both make its tables, and one of them fails.
_ATTEMPTS, _PAUSE_S = 5, 0.5
STARTUP_TRIALS = 10
"""Trials that TPE draws at random before it learns from results; Optuna's default."""
OWNER, AGAIN = "owner", "again_of"


def require_optuna() -> Any:
    """Import and return `optuna`, silent but for errors.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingDependencyError.for_extra("optuna", "train", "edgefm search") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


@contextmanager
def no_experimental_warnings() -> Iterator[None]:
    """Heartbeats have been "experimental" in Optuna since 2021; a user of ours can do nothing about that."""
    optuna = require_optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def open_study(storage: str, name: str, plan: SearchPlan, *, seed: int, identity: dict[str, str]) -> Any:
    """Open a study, or make it.

    A database is used because its transactions survive a killed process, and because Optuna's heartbeats, which its
    journal files do not have, show other processes, on this machine or elsewhere, that a trial has died.

    Args:
        storage: a URL that SQLAlchemy takes, such as "sqlite:///study.db" or "postgresql://...".
        name: of the study within it.
        plan: how trials are sampled and pruned.
        seed: of the sampler.
        identity: what every process of the study must agree on; title -> hash.

    Raises:
        TrainingError: the storage cannot be opened, others may write to its file, or the study has another identity.
    """
    optuna = require_optuna()
    import sqlalchemy

    _require_own_file(storage)
    try:
        study = _open(storage, name, plan, seed)
    except (
        ImportError,
        ValueError,
        OSError,
        RuntimeError,
        sqlite3.Error,
        sqlalchemy.exc.SQLAlchemyError,
        optuna.exceptions.OptunaError,
    ) as error:
        raise TrainingError(
            f"The storage {storage!r} cannot be used: {str(error).splitlines()[0]}",
            hint="Give a URL such as sqlite:///study.db or postgresql://user@host/database (and its driver).",
        ) from error
    before = study.user_attrs
    for title, digest in identity.items():
        if before.get(title, digest) != digest:
            raise TrainingError(
                f"The study {name!r} in {storage} was started with another {title}: {before[title][:12]} then, "
                f"{digest[:12]} now.",
                hint="Go back to what it was started with, or start another: --study NAME or --out DIR.",
            )
        if title not in before:
            study.set_user_attr(title, digest)
    return study


def _require_own_file(storage: str) -> None:
    """Refuse a database file that other users can change: its trials decide what is trained next."""
    path = Path(storage.removeprefix("sqlite:///"))
    if not storage.startswith("sqlite:///") or not path.is_file():
        return
    if (reason := why_untrusted(path)) is not None:
        raise TrainingError(
            f"The study's trials are not trusted: {reason}.",
            hint=f"If they are yours: chmod go-w {shlex.quote(str(path))}. Several users share a study through a "
            "database server: --storage postgresql://user@host/database",
        )


def _open(storage: str, name: str, plan: SearchPlan, seed: int) -> Any:
    """Open or make a study; again where another process was making the same tables."""
    optuna = require_optuna()
    import sqlalchemy

    for attempt in range(_ATTEMPTS):
        try:
            with no_experimental_warnings():
                options = {"connect_args": {"timeout": _BUSY_S}} if storage.startswith("sqlite") else {}
                database = optuna.storages.RDBStorage(
                    storage, engine_kwargs=options, heartbeat_interval=_BEAT_S, grace_period=_GRACE_S
                )
            return optuna.create_study(
                study_name=name,
                storage=database,
                sampler=numbered_sampler(plan.sampler, seed),
                pruner=_pruner(plan.pruner),
                direction="maximize",
                load_if_exists=True,
            )
        except sqlalchemy.exc.DBAPIError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(_PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{path.resolve()}"


def _pruner(name: str) -> Any:
    pruners = require_optuna().pruners
    if name == "none":
        return pruners.NopPruner()
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=1)
    # The first epochs of five trials are there to compare with; the first epoch alone says too little.
    return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)


@functools.cache
def _sampler_class() -> Any:
    optuna = require_optuna()

    class NumberedSampler(optuna.samplers.BaseSampler):  # type: ignore[misc, name-defined]
        """Samples each trial with a generator seeded by its number.

        So its values depend on the trials before it, and not on which process samples it or how often it was restarted.
        """

        def __init__(self, name: str, seed: int) -> None:
            self._name, self._seed = name, seed
            self._inner = self._make(0)

        def _make(self, number: int) -> Any:
            seed = (self._seed * 1_000_003 + number) % 2**32
            if self._name == "random":
                return optuna.samplers.RandomSampler(seed=seed)
            return optuna.samplers.TPESampler(n_startup_trials=STARTUP_TRIALS, seed=seed, constant_liar=True)

        def before_trial(self, study: Any, trial: Any) -> None:
            with no_experimental_warnings():
                self._inner = self._make(trial.number)
            self._inner.before_trial(study, trial)

        def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
            return self._inner.infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
            return self._inner.sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
            return self._inner.sample_independent(study, trial, name, distribution)

        def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
            self._inner.after_trial(study, trial, state, values)

    return NumberedSampler


def numbered_sampler(name: str, seed: int) -> Any:
    """A sampler whose values depend on the seed, the trial's number and the trials before it alone."""
    with no_experimental_warnings():
        return _sampler_class()(name, seed)


def suggest_values(trial: Any, plan: SearchPlan, given: dict[str, Any]) -> dict[str, Any]:
    """Values for a trial: key path -> value.

    Args:
        trial: optuna.Trial.
        plan: the space.
        given: values of keys that are not searched, for conditions on them.
    """
    values: dict[str, Any] = {}
    for dimension in plan.dimensions:
        known = {**given, **values}
        if all(known.get(path) in wanted for path, wanted in dimension.when.items()):
            values[dimension.path] = _suggest(trial, dimension)
    return values


def _suggest(trial: Any, dimension: Dimension) -> Any:
    if dimension.choices:
        # As text: Optuna's choices may be no lists.
        texts = [json.dumps(choice) for choice in dimension.choices]
        return json.loads(trial.suggest_categorical(dimension.path, texts))
    if dimension.whole:
        return trial.suggest_int(
            dimension.path, int(dimension.low), int(dimension.high), step=int(dimension.step or 1), log=dimension.log
        )
    return trial.suggest_float(dimension.path, dimension.low, dimension.high, step=dimension.step, log=dimension.log)


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Wait for a lock that one process holds at a time; a process that dies releases it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Nothing is written to it; a link, in a folder from elsewhere, is not followed.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def this_process() -> dict[str, Any]:
    """What identifies this process: its machine, its number, and when it began."""
    return {"place": _place(), "pid": os.getpid(), "began": _began(os.getpid())}


def revive_dead_trials(study: Any) -> int:
    """Mark trials whose process has died as failed, and queue their values again; returns how many.

    Processes of this machine are looked up; those of others count as dead when their heartbeats are missing for two
    minutes.
    """
    optuna = require_optuna()
    states = optuna.trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(states.RUNNING,)):
        owner = trial.user_attrs.get(OWNER)
        if owner and owner["place"] == _place() and not _lives(owner):
            with suppress(RuntimeError):  # another process marked it first
                study.tell(trial.number, state=states.FAIL, skip_if_finished=True)
    with no_experimental_warnings():
        optuna.storages.fail_stale_trials(study)
    trials = study.get_trials(deepcopy=False)
    queued = {t.user_attrs[AGAIN] for t in trials if AGAIN in t.user_attrs}
    lost = [t for t in trials if t.state == states.FAIL and t.params and t.number not in queued]
    lost = [t for t in lost if not t.user_attrs.get("surplus") and not t.user_attrs.get("error")]
    for trial in lost:
        study.enqueue_trial(trial.params, user_attrs={AGAIN: trial.number})
    return len(lost)


def _place() -> str:
    """This machine since it was started, and this container: where a process number means something."""
    parts = [platform.node()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return "/".join(parts)


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty where the system does not say, as process numbers return."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _lives(owner: dict[str, Any]) -> bool:
    try:
        os.kill(owner["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(_began(owner["pid"]) == owner["began"])
