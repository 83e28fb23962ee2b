"""Whether a run may start or go on in a folder."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from edge_fm.models.keras_import import require_keras
from edge_fm.models.run_files import MODEL_FILE, RECIPE_FILE
from edge_fm.training.recipe import Recipe
from edge_fm.training.recipe.file import load_recipe, recipe_toml
from edge_fm.training.recipe.identity import recipe_hash
from edge_fm.training.recipe.paths import with_absolute_paths
from edge_fm.training.recipe.table import recipe_table
from edge_fm.training.run.checkpoint import FILE as CHECKPOINT
from edge_fm.training.run.checkpoint import RunState, load_state, save_state
from edge_fm.training.run.folder_lock import LOCK_FILE
from edge_fm.training.run.run_folder import write_text
from edge_fm_runtime.errors import TrainingError

if TYPE_CHECKING:
    from edge_fm.data import Dataset


def open_run(recipe: Recipe, dataset: Dataset, out_dir: Path, *, resume: bool) -> RunState | None:
    """Look into the folder of a run that is to start, or to go on.

    The same data in another place than the run's recipe says, as their content hash shows, are recorded there.

    Returns:
        The state to go on from, or None to start with the first epoch.

    Raises:
        TrainingError: the folder holds a finished or (without `resume`) an unfinished run, or files of somebody else's;
            or with `resume` no run, or one that was started with another recipe, other data or another Keras backend.
    """
    exists = (out_dir / RECIPE_FILE).exists()
    if (out_dir / MODEL_FILE).exists():
        raise TrainingError(
            f"The run in {out_dir} is finished" + ("; there is nothing to resume." if resume else "."),
            hint=f"edgefm evaluate {out_dir}   (or train into another folder)",
        )
    if not resume:
        if exists or (out_dir / CHECKPOINT).exists():
            raise TrainingError(f"{out_dir} holds an unfinished run.", hint="Go on with it: --resume.")
        found = {path.name for path in out_dir.iterdir()} if out_dir.is_dir() else set()
        # A run that was killed while it wrote its recipe left that beside its place.
        half = {name for name in found if name.startswith(f".{RECIPE_FILE}.") and name.endswith(".tmp")}
        there = sorted(found - half - {LOCK_FILE})
        if there:
            raise TrainingError(
                f"{out_dir} is not empty, and holds no run: {', '.join(there[:3])}{', ...' if there[3:] else ''}.",
                hint="A run needs a folder of its own: name a new or an empty one with --out.",
            )
        return None
    if not exists:
        raise TrainingError(f"There is no run to resume in {out_dir}.", hint="Leave --resume out to start one.")
    stored = load_recipe(out_dir / RECIPE_FILE)
    before = with_absolute_paths(stored)  # an earlier version stored them as they were given
    moved = before.data.source != recipe.data.source
    as_moved = dataclasses.replace(before, data=dataclasses.replace(before.data, source=recipe.data.source))
    if recipe_hash(as_moved) != recipe_hash(recipe):
        place = f" --data {shlex.quote(recipe.data.source)}" if moved else ""
        raise TrainingError(
            f"The recipe is not the one that the run in {out_dir} was started with: {_difference(as_moved, recipe)}.",
            hint=f"edgefm train --resume --out {shlex.quote(str(out_dir))}{place}   (or start a new run)",
        )
    state = load_state(out_dir)
    if state is None:
        return None
    backend = require_keras("training").backend.backend()
    same_data = (state.data_hash,) if dataset.has_hash(state.data_hash) else (dataset.content_hash,)
    for what, theirs, ours in (
        ("recipe", state.recipe_hash, (recipe_hash(recipe), recipe_hash(stored))),
        (f"data in {recipe.data.source}" if moved else "data", state.data_hash, same_data),
        ("Keras backend", state.backend, (backend,)),
    ):
        if theirs not in ours:
            raise TrainingError(
                f"The {what} is not the one that the run in {out_dir} was started with: "
                f"{theirs[:12]} then, {ours[0][:12]} now.",
                hint="Start a new run, or bring back what it was started with.",
            )
    if moved:
        state = dataclasses.replace(state, recipe_hash=recipe_hash(recipe))
        save_state(out_dir, state)  # first: stopped between the two, the run can be resumed as now
        write_text(out_dir / RECIPE_FILE, recipe_toml(recipe))
    return state


def _difference(before: Recipe, now: Recipe) -> str:
    old, new = recipe_table(before), recipe_table(now)
    changes = []
    for section in new:
        pairs = (
            {key: (old[section].get(key), new[section].get(key)) for key in {**old[section], **new[section]}}
            if isinstance(new[section], dict)
            else {"": (old[section], new[section])}
        )
        changes += [
            f"{section}{'.' if key else ''}{key} was {was!r}, is {is_!r}"
            for key, (was, is_) in pairs.items()
            if was != is_ and section not in {"name", "description"}
        ]
    return "; ".join(changes)
