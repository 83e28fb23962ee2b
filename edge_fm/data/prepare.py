"""What a recipe does to a dataset before anything is learned: other classes, other splits, fewer images.

All of it is a function of the dataset and the settings, so that it can be repeated when the model is evaluated later.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from edge_fm.data.dataset import Dataset, Split, join, make_dataset
from edge_fm.data.sources import absolute_source
from edge_fm.data.splits import Indices, hold_out_count
from edge_fm.data.splitting.conflicts import conflicts_in_words, label_conflicts
from edge_fm.data.splitting.groups import hold_out_groups
from edge_fm_export.gate.fingerprints import fingerprints
from edge_fm_runtime.errors import DataError


@dataclass(frozen=True)
class Preparation:
    """What is done to a dataset, in this order.

    Attributes:
        relabel: class -> the class that it becomes; several may become one. Other classes keep their names.
        classes: names, after `relabel`, of the classes that are kept, in the order of their labels; none for all.
        pool: put training and test images together, and split them again.
        split: how many images go to training, validation and test: three counts, or three shares of the whole; none
            leaves the dataset's own test split. Each class keeps its share. What is not asked for is left out.
        split_seed: which images go where.
        deduplicate: drop training images that occur before, or in the validation or test split.
        samples: how many training images are kept, each class in its share; 0 for all.
    """

    relabel: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    pool: bool = False
    split: tuple[float, ...] = ()
    split_seed: int = 0
    deduplicate: bool = False
    samples: int = 0

    def to_json(self) -> dict[str, Any]:
        """What differs from doing nothing, as JSON values.

        Example:
            >>> Preparation(samples=100).to_json()
            {'samples': 100}
        """
        usual = asdict(Preparation())
        given = {key: value for key, value in asdict(self).items() if value != usual[key]}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}

    @classmethod
    def from_json(cls, given: Any) -> Preparation:
        """Read what `to_json` wrote.

        Raises:
            DataError: it is something else.
        """
        fits = isinstance(given, Mapping) and set(given) <= {f.name for f in fields(cls)}
        kinds = {"relabel": dict, "classes": list, "split": list, "pool": bool, "deduplicate": bool}
        if not fits or not all(isinstance(value, kinds.get(key, int)) for key, value in given.items()):
            raise DataError(f"A preparation of data cannot be read: {given!r}"[:300] + ".")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        return cls(**values)


def prepare(dataset: Dataset, preparation: Preparation) -> Dataset:
    """Prepare a dataset; its notes list what was done.

    Args:
        dataset: stays as it is.
        preparation: what to do; nothing leaves the dataset itself.

    Raises:
        DataError: a class does not exist, fewer than two are left, or there are fewer images than are asked for.

    Example:
        >>> from edge_fm.data import Preparation, load_dataset, prepare
        >>> pairs = Preparation(relabel={"Sandal": "shoe", "Sneaker": "shoe"}, classes=("Bag", "shoe"), samples=300)
        >>> small = prepare(load_dataset("fashion-mnist-mini"), pairs)
        >>> small.label_names, len(small.train), len(small.test)
        (('Bag', 'shoe'), 300, 300)
    """
    if preparation == Preparation():
        return dataset
    notes: dict[str, Any] = dict(dataset.notes)
    names, train, test, validation = dataset.label_names, dataset.train, dataset.test, dataset.validation
    if preparation.relabel or preparation.classes:
        if dataset.multi_label:
            raise DataError(
                f"{dataset.name} is read as multi-label; relabel and classes are for one class an image.",
                hint="Leave them out of the recipe's [data], and change the labels in the manifest.",
            )
        names, table = _classes(dataset, preparation)
        train, test = _renumbered(train, table), _renumbered(test, table)
        validation = None if validation is None else _renumbered(validation, table)
        notes["classes"] = _say_classes(dataset, names, table)
    if preparation.split:
        if preparation.pool:
            pooled = [split for split in (train, validation, test) if split is not None]
            train = join(pooled)
        if preparation.deduplicate:
            _refuse_conflicts(dataset.name, {"train": train}, names)
            train = _without_copies(train, (), (), notes)
        train, test = _split(dataset, train, preparation, notes)
        validation = None  # drawn from the training images, as the split says
    elif preparation.deduplicate:
        own = {} if validation is None else {"validation": validation}
        _refuse_conflicts(dataset.name, {"train": train, **own, "test": test}, names)
        validation_prints = () if validation is None else fingerprints(validation.images)
        train = _without_copies(train, fingerprints(test.images), validation_prints, notes)
    if preparation.samples:
        train = _sample(dataset.name, train, preparation, notes)
    return make_dataset(
        dataset.name,
        dataset.source,
        names,
        train,
        test,
        validation=validation,
        notes=notes,
        files=dataset.files,
        multi_label=dataset.multi_label,
    )


def prepare_as_trained(
    dataset: Dataset, preparation: Preparation, *, trained_on: str | None, trained_hash: str | None = None
) -> Dataset:
    """Bring a dataset to what a model knows that was trained on a prepared one.

    The very data that it was trained on are prepared in the same way, so that their test split is the one that was kept
    from it. Other data get the model's classes, where they have the former ones.

    Args:
        dataset: as `load_dataset` gave it.
        preparation: the run's.
        trained_on: the source that the run named.
        trained_hash: the content hash of what it was trained on, by which the same data are known in another place.
    """
    if trained_on is not None and dataset.source == absolute_source(trained_on):
        return prepare(dataset, preparation)
    if trained_hash is not None and (same := _prepared_to(trained_hash, dataset, preparation)) is not None:
        return same
    relabel = {old: new for old, new in preparation.relabel.items() if old in dataset.label_names}
    there = {relabel.get(name, name) for name in dataset.label_names}
    classes = tuple(name for name in preparation.classes if name in there)
    return prepare(dataset, Preparation(relabel=relabel, classes=classes))


def _prepared_to(content_hash: str, dataset: Dataset, preparation: Preparation) -> Dataset | None:
    """The prepared dataset where it has that hash, else None."""
    try:
        prepared = prepare(dataset, preparation)
    except DataError:  # other data, without the classes or with too few images
        return None
    return prepared if prepared.has_hash(content_hash) else None


def _classes(dataset: Dataset, preparation: Preparation) -> tuple[tuple[str, ...], np.ndarray[Any, Any]]:
    """The new label names, and for each old label the new one or -1."""
    for old in preparation.relabel:
        if old not in dataset.label_names:
            raise _unknown(dataset.name, "relabel", old, dataset.label_names)
    renamed = [preparation.relabel.get(name, name) for name in dataset.label_names]
    there = tuple(dict.fromkeys(renamed))
    for name in preparation.classes:
        if name not in there:
            raise _unknown(dataset.name, "classes", name, there)
    names = preparation.classes or there
    if len(names) < 2 or len(set(names)) != len(names):
        raise DataError(
            f"{dataset.name} would have the classes {', '.join(names) or '(none)'}; a classifier takes at least two "
            "different ones.",
            hint="Look at relabel and classes in the recipe's [data].",
        )
    return names, np.array([names.index(name) if name in names else -1 for name in renamed], np.int64)


def _unknown(dataset: str, key: str, name: str, known: tuple[str, ...]) -> DataError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return DataError(
        f"{key} names {name!r}, but {dataset} has no such class. It has: {', '.join(known)}.",
        hint=f"Did you mean {near[0]!r}?" if near else "Classes are named as `edgefm data info` shows them.",
    )


def _renumbered(split: Split, table: np.ndarray[Any, Any]) -> Split:
    labels = table[split.labels]
    kept = np.flatnonzero(labels >= 0)
    return replace(split.take(kept), labels=labels[kept])


def _say_classes(dataset: Dataset, new: tuple[str, ...], table: np.ndarray[Any, Any]) -> str:
    old = dataset.label_names
    members = [[name for name, number in zip(old, table, strict=True) if number == label] for label in range(len(new))]
    given = [
        name if those == [name] else f"{name} ({' + '.join(those)})" for name, those in zip(new, members, strict=True)
    ]
    left_out = int((table < 0).sum())
    if not left_out:
        return ", ".join(given)
    images = sum(int((table[split.labels] < 0).sum()) for split in dataset.splits.values())
    return f"{', '.join(given)}; {left_out} class{'es' * (left_out != 1)} left out, with {images:,} images"


def _refuse_conflicts(name: str, splits: Mapping[str, Split], label_names: Sequence[str]) -> None:
    """Refuse to drop copies where that would decide which of two labels is right."""
    conflicts = label_conflicts(splits, label_names)
    if conflicts:
        raise DataError(
            f"Copies cannot be dropped from {name}: {conflicts_in_words(conflicts)}",
            hint="Which label is right is for you to say: delete the copies whose labels are wrong, or correct them.",
        )


def _without_copies(
    train: Split, test_keys: Collection[bytes], validation_keys: Collection[bytes], notes: dict[str, Any]
) -> Split:
    keys, test, validation = fingerprints(train.images), set(test_keys), set(validation_keys)
    seen: set[bytes] = set()
    kept, in_test, in_validation = [], 0, 0
    for index, key in enumerate(keys):
        in_test += key in test
        in_validation += key in validation and key not in test
        if key not in test and key not in validation and key not in seen:
            kept.append(index)
        seen.add(key)
    removed = {"repeated": len(keys) - len(kept) - in_test - in_validation, "in_test": in_test}
    notes["duplicates_removed"] = removed | ({"in_validation": in_validation} if validation else {})
    return train.take(np.array(kept, np.intp))


def _split(dataset: Dataset, split: Split, preparation: Preparation, notes: dict[str, Any]) -> tuple[Split, Split]:
    name = dataset.name
    wanted, total = preparation.split, len(split)
    counts = [int(n) for n in wanted] if min(wanted) >= 1 else [int(total * share + 0.5) for share in wanted]
    own = dataset.validation is not None
    pooled = "the pooled training, validation and test images" if own else "the pooled training and test images"
    what = pooled if preparation.pool else "the training images"
    if sum(counts) > total + (0 if min(wanted) >= 1 else 1) or min(counts) < 1:
        raise DataError(
            f"{name} cannot be split into {', '.join(f'{n:,}' for n in counts)} images: {what} are {total:,}.",
            hint="Give shares, such as split = [0.8, 0.1, 0.1], or smaller counts, in the recipe's [data].",
        )
    keys = fingerprints(split.images)
    if split.groups:
        share = counts[2] / total
        held = hold_out_groups(split.labels, split.groups, fraction=share, seed=preparation.split_seed, leave=2)
    else:
        held = hold_out_count(keys, split.labels, count=counts[2], seed=preparation.split_seed)
    rest = np.setdiff1d(np.arange(total), held)
    if (learned := min(counts[0] + counts[1], len(rest))) < len(rest):
        rest = _stratified(split, rest, learned, preparation.split_seed)
    copied = {keys[i] for i in held} & {keys[i] for i in rest}
    if copied:
        raise DataError(
            f"{name} has {len(copied)} images that would be both in training and in test.",
            hint="Drop copies: deduplicate = true in the recipe's [data].",
        )
    notes["test"] = f"{len(held):,} of {what} ({total:,}), stratified, drawn with seed {preparation.split_seed}"
    if split.groups:
        tested = len({split.groups[i] for i in held.tolist()})
        notes["test"] += f", those of {tested:,} of the {len(set(split.groups)):,} groups"
    for part in ("train", "validation"):  # said of the source's own
        notes.pop(part, None)
    if not preparation.pool:
        unused = "validation and test splits are" if own else "test split is"
        notes["test"] += f"; the dataset's own {unused} not used"
    return split.take(rest), split.take(held)


def _sample(name: str, train: Split, preparation: Preparation, notes: dict[str, Any]) -> Split:
    if preparation.samples > len(train):
        raise DataError(
            f"{preparation.samples:,} training images are asked for, but {name} has {len(train):,}.",
            hint="Give fewer samples in the recipe's [data], or leave it out.",
        )
    kept = _stratified(train, np.arange(len(train)), preparation.samples, preparation.split_seed)
    notes["samples"] = f"{len(kept):,} of {len(train):,} training images, stratified, seed {preparation.split_seed}"
    return train.take(kept)


def _stratified(split: Split, among: Indices, count: int, seed: int) -> Indices:
    """`count` of the positions `among`, each class in its share, ascending."""
    if count == len(among):
        return among
    labels = split.labels[among]
    # Copies do not matter here: all of these images are learned from.
    selected = hold_out_count([i.to_bytes(8, "little") for i in among.tolist()], labels, count=count, seed=seed)
    return np.sort(among[selected])
