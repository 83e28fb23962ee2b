"""The tables of `edgefm data info` and `models`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from edge_fm.cli.console.console import print_line, print_table

if TYPE_CHECKING:
    from edge_fm.api.datasets import DataDescription
    from edge_fm.api.models import ModelList


def print_dataset(described: DataDescription) -> None:
    """Print how many images of each class each split has, copies, and hashes."""
    info = described.to_json()
    splits = list(info["splits"])
    rows = [
        [label, *(str(info["splits"][s]["balance"].get(label, 0)) for s in splits)] for label in info["label_names"]
    ]
    rows.append(["all", *(str(info["splits"][s]["n"]) for s in splits)])
    title = f"{info['name']}: {'x'.join(map(str, info['shape']))}, content {info['hash'][:16]}"
    print_table(title, ["label", *splits], rows, right=range(1, len(splits) + 1))
    copies = info["duplicates"]
    print_line(
        f"Copies beyond the first: {copies['train']:,} in train, {copies['test']:,} in test; "
        f"test images that are in train too: {copies['test_in_train']:,}"
        + (f"; validation images that are: {copies['validation_in_train']:,}." if "validation" in splits else ".")
    )
    if info["label_conflicts"]:
        from edge_fm.data.splitting.conflicts import LabelConflict, conflicts_in_words

        conflicts = [LabelConflict(tuple(one["files"]), tuple(one["labels"])) for one in info["label_conflicts"]]
        print_line(f"{conflicts_in_words(conflicts)} Delete the copies whose labels are wrong, or correct them.")
    if info.get("files"):
        print_table("Files", ["file", "SHA-256"], [[n, f["sha256"]] for n, f in info["files"].items()])


def print_models(listed: ModelList) -> None:
    """Print the model zoo, and what each recipe reached."""
    models = listed.models
    columns: dict[str, list[str]] = {
        "name": [m["name"] for m in models],
        "parameters": [f"{m['params']:,}" for m in models],
        "MACs": [f"{m['macs'] / 1e6:.1f} M" for m in models],
        "input": ["{}x{}x{}".format(*m["input"]) for m in models],
        "classes": [str(m["classes"]) for m in models],
        "accuracy": ["-" if m["accuracy"] is None else f"{100 * m['accuracy']:.2f}%" for m in models],
        "int8 bytes": ["-" if m["int8_bytes"] is None else f"{m['int8_bytes']:,}" for m in models],
        "int8 ms": ["-" if m["int8_p50_ms"] is None else f"{m['int8_p50_ms']:.3f}" for m in models],
        "options": [", ".join(m["options"]) for m in models],
        "source": [m["source"] for m in models],
    }
    # A column of dashes is left out.
    columns = {title: cells for title, cells in columns.items() if set(cells) != {"-"}}
    numbers = ("parameters", "MACs", "classes", "accuracy", "int8 bytes", "int8 ms")
    right = [i for i, title in enumerate(columns) if title in numbers]
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    order = ["source", "options", "classes", "input", "int8 ms", "MACs", "int8 bytes"]
    optional = [title for title in order if title in columns]
    wraps = [title for title in ("options", "source") if title in columns]
    print_table("Models", list(columns), rows, right=right, wraps=wraps, optional=optional)
    _print_recipes(models)
    _print_applications(listed.applications)


def _print_applications(applications: Sequence[Mapping[str, Any]]) -> None:
    """Print the names of the networks of keras.applications that have no row of their own, by family."""
    families: dict[str, list[str]] = {}
    for application in applications:
        families.setdefault(application["family"].removeprefix("keras-"), []).append(application["name"])
    rows = [[family, ", ".join(names)] for family, names in families.items()]
    title = "Also the other networks of keras.applications, by name (capitals, hyphens and underscores do not matter)"
    print_table(title, ["family", "names"], rows, wraps=["names"])


def _print_recipes(models: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        [
            model["name"],
            reached["recipe"],
            f"{100 * reached['accuracy']:.2f}%",
            ", ".join(f"{100 * accuracy:.2f}" for accuracy in reached["seeds"].values()),
            f"{reached['seconds'] / 60:.0f}",
            reached["trained_on"],
        ]
        for model in models
        for reached in model["recipes"]
    ]
    if rows:
        columns = ["model", "recipe", "accuracy", "seeds", "minutes", "trained on"]
        title = "Recipes: accuracy on the 10,000 test images, minutes of one training"
        optional = ["trained on", "seeds", "minutes"]
        print_table(title, columns, rows, right=(2, 4), wraps=["trained on"], optional=optional)
