"""Tables that are read from the code when the documentation is built, so that they cannot differ from it.

Directives: `recipe-keys`, `artifact-schema`, `artifact-sections`, `published-rows`, `public-api`, `error-tree` and
`command-options`. An attribute without a description fails the build.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, ClassVar, get_type_hints

from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.parsers.rst import Parser
from docutils.utils import new_document
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx_click.ext import NESTED_FULL, ClickDirective


def described_attributes(cls: type[Any]) -> dict[str, str]:
    """Field name -> its description in the `Attributes:` section of a dataclass's docstring.

    Raises:
        ValueError: a field has no description, or a description has no field.
    """
    _, _, section = (inspect.getdoc(cls) or "").partition("Attributes:\n")
    section = re.split(r"\n\S", section, maxsplit=1)[0]
    found = {
        match[1]: " ".join(match[2].split())
        for match in re.finditer(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", section, re.M | re.S)
    }
    fields = {field.name for field in dataclasses.fields(cls) if not dataclasses.is_dataclass(_hint(cls, field.name))}
    if missing := fields - set(found):
        raise ValueError(f"{cls.__qualname__}: no description of {', '.join(sorted(missing))} under Attributes.")
    return found


def _hint(cls: type[Any], name: str) -> Any:
    return get_type_hints(cls)[name]


def shown_type(cls: type[Any], name: str) -> str:
    """A field's type as Python writes it, without the modules' names."""
    hint = _hint(cls, name)
    text = hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)
    text = re.sub(r"(?<![\"'\w])(?:\w+\.)+(\w+)", r"\1", text).replace("NoneType", "None")
    return re.sub(r"Literal\[(.*?)\]", lambda match: match[1].replace(", ", " | "), text)


def shown_default(field: dataclasses.Field[Any]) -> str:
    """A field's default as Python writes it; empty where it must be given."""
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
        return "{}" if value == {} else repr(value)
    return "" if field.default is dataclasses.MISSING else repr(field.default)


class _Table(SphinxDirective, ABC):
    """A directive whose content is reStructuredText, in sections of their own where these have titles."""

    has_content = False
    option_spec: ClassVar[dict[str, Any]] = {}

    @abstractmethod
    def parts(self) -> Iterable[tuple[str, list[str]]]:
        """A title, or an empty one, and the lines below it."""

    def run(self) -> list[nodes.Node]:
        found: list[nodes.Node] = []
        for title, lines in self.parts():
            content = _parse("\n".join(lines))
            if title:
                section = nodes.section(ids=[nodes.make_id(f"{self.name}-{title}")], names=[f"{self.name} {title}"])
                section += [nodes.title(title, title), *content]
                found.append(section)
            else:
                found += content
        return found


def _parse(text: str) -> list[nodes.Node]:
    settings = get_default_settings(Parser)
    settings.report_level = settings.halt_level = 2  # a table with a fault in it must not be built
    document = new_document("generated", settings)
    Parser().parse(text, document)
    return list(document.children)


def literal(text: str) -> str:
    return f"``{text}``" if text else ""


def prose(text: str) -> str:
    """A docstring's sentence as reStructuredText: single backticks mark code there."""
    return re.sub(r"`+([^`]+)`+", r"``\1``", re.sub(r"([*|])", r"\\\1", text))


def list_table(head: Sequence[str], rows: Iterable[Sequence[str]], widths: str = "auto") -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (head, *rows):
        lines += [f"   {'* -' if number == 0 else '  -'} {cell}".rstrip() for number, cell in enumerate(row)]
    return [*lines, ""]


def dataclass_table(cls: type[Any], skip: frozenset[str] = frozenset()) -> list[str]:
    described = described_attributes(cls)
    rows = [
        (literal(f.name), literal(shown_type(cls, f.name)), literal(shown_default(f)), prose(described[f.name]))
        for f in dataclasses.fields(cls)
        if f.name not in skip
    ]
    return list_table(("key", "type", "default", "meaning"), rows)


class RecipeKeys(_Table):
    """Every table and key of a recipe, from the dataclasses that check them."""

    def parts(self) -> Iterable[tuple[str, list[str]]]:
        from edge_fm.training import Recipe

        tables = {name: cls for name, cls in get_type_hints(Recipe).items() if dataclasses.is_dataclass(cls)}
        yield "Top level", dataclass_table(Recipe, skip=frozenset(tables))
        for name, cls in tables.items():
            yield f"[{name}]", dataclass_table(cls)


class ArtifactSchema(_Table):
    """The fields of `edgefm.json`, from the dataclasses that the reader fills."""

    def parts(self) -> Iterable[tuple[str, list[str]]]:
        from edge_fm_runtime.artifacts.metadata import FileEntry, InputSpec, Metadata, OutputSpec, PhotoSpec

        for cls, name in {
            Metadata: "The file",
            InputSpec: "input",
            PhotoSpec: "photo",
            OutputSpec: "Each entry of extra_outputs",
        }.items():
            described = described_attributes(cls)
            rows = [
                (literal(f.name), literal(shown_type(cls, f.name)), prose(described.get(f.name, "See below.")))
                for f in dataclasses.fields(cls)
            ]
            yield name, list_table(("key", "type", "meaning"), rows)
        yield "Each entry of files", [prose((inspect.getdoc(FileEntry) or "").splitlines()[0])]


class ArtifactSections(_Table):
    """What the reader checks in the free sections of `edgefm.json`, from the rules that it applies."""

    def parts(self) -> Iterable[tuple[str, list[str]]]:
        from edge_fm_runtime.artifacts.sections import NEEDED, SECTIONS

        for section, keys in SECTIONS.items():
            needed = NEEDED.get(section, ())
            rows = [(literal(key), kind[0], "yes" if key in needed else "no") for key, kind in keys.items()]
            yield section, list_table(("key", "value", "required"), rows)


class PublishedRows(_Table):
    """Published accuracies beside those achieved, from the results that the package keeps."""

    def parts(self) -> Iterable[tuple[str, list[str]]]:
        from edge_fm.experiments import experiment_rows, stored_results, studies_of
        from edge_fm.experiments.results import STORED_RESULTS

        def percent(value: float | None) -> str:
            return "" if value is None else f"{100 * value:.2f}"

        rows, notes = [], []
        experiments = experiment_rows(stored_results(STORED_RESULTS))
        for row in experiments:
            reported, points = row["reported_accuracy"], row["difference_points"]
            difference = "" if points is None else f"{'~ ' if row['within_spread'] else ''}{points:+.2f}"
            done = percent(row["achieved_accuracy"]) or row["status"]
            name, model = literal(row["name"]), literal(row["model"])
            rows.append((name, percent(reported), done, difference, model))
            if row["note"]:
                notes += [name, f"   {prose(row['note'])}", ""]
        yield "", list_table(("experiment", "reported %", "achieved %", "points", "model"), rows)
        yield "Studies", [line for study in studies_of(experiments) for line in (f"* {prose(study.finding)}", "")]
        yield "Notes", notes


class PublicApi(SphinxDirective):
    """Every name that a package offers, from its `__all__`; names that `edge_fm_runtime` offers are on its own page."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        import edge_fm_runtime

        package = import_module(self.arguments[0])
        names = sorted(set(package.__all__) - set(edge_fm_runtime.__all__), key=str.casefold)
        lines = []
        for name in names:
            kind = "class" if inspect.isclass(getattr(package, name)) else "function"
            lines += [f".. auto{kind}:: {package.__name__}.{name}", *(["   :members:"] if kind == "class" else []), ""]
        return self.parse_text_to_nodes("\n".join(lines))


class CommandOptions(ClickDirective):  # type: ignore[misc]  # sphinx-click has no types
    """Usage, options and subcommands of one command, named as on the command line."""

    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> Sequence[nodes.section]:
        import click

        from edge_fm.cli import cli

        self.env = self.state.document.settings.env
        name = self.arguments[0]
        command = cli.get_command(click.Context(cli), name)
        if command is None:
            raise self.error(f"edgefm has no command {name!r}")
        (section,) = self._generate_nodes(f"edgefm {name}", command, None, NESTED_FULL)
        section[0] = nodes.title("", "Usage and options")
        section["ids"], section["names"] = [f"{name}-usage"], [f"{name} usage"]
        return [section]


class ErrorTree(_Table):
    """The tree of errors in the docstring of `edge_fm_runtime.errors`."""

    def parts(self) -> Iterable[tuple[str, list[str]]]:
        from edge_fm_runtime import errors

        tree = (inspect.getdoc(errors) or "").split("\n\n")[1]
        yield "", ["::", "", *(f"   {line}" for line in tree.splitlines()), ""]


def mark_options(app: Sphinx, ctx: Any, lines: list[str]) -> None:
    """Options named in a help text become code; their two dashes would become one long one."""
    found = re.compile(r"(`+[^`]+`+)|(?<![\w-])(--[a-z][\w-]*)")  # what is code already stays
    lines[:] = [
        line if line.lstrip().startswith("..") else found.sub(lambda match: match[1] or f"``{match[2]}``", line)
        for line in lines
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("sphinx-click-process-description", mark_options)
    app.connect("sphinx-click-process-options", mark_options)
    app.add_directive("recipe-keys", RecipeKeys)
    app.add_directive("artifact-schema", ArtifactSchema)
    app.add_directive("artifact-sections", ArtifactSections)
    app.add_directive("published-rows", PublishedRows)
    app.add_directive("public-api", PublicApi)
    app.add_directive("error-tree", ErrorTree)
    app.add_directive("command-options", CommandOptions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
