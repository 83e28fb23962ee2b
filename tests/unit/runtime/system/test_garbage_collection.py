"""Large libraries are imported without garbage collections, and in our own program stay out of later ones."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from edge_fm_runtime.measurement.latency import collector_at_rest
from edge_fm_runtime.system.garbage_collection import set_own_process, uncollected_import


@pytest.fixture
def collections() -> Iterator[list[str]]:
    """Collections that happened, as they happen."""
    seen: list[str] = []

    def note(phase: str, _: object) -> None:
        seen.append(phase)

    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)


@pytest.fixture(params=[True, False], ids=["own process", "as a library"])
def own(request: pytest.FixtureRequest) -> Iterator[bool]:
    set_own_process(request.param)
    yield request.param
    set_own_process()  # as conftest.py has it


@pytest.mark.parametrize("imported", [True, False], ids=["imported now", "imported before"])
def test_no_collection_while_libraries_are_imported(
    collections: list[str], own: bool, imported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = gc.get_freeze_count()
    with uncollected_import():
        kept = [[number] for number in range(50_000)]
        if imported:
            monkeypatch.setitem(sys.modules, "imported_now", sys)
        assert not gc.isenabled() and collections == []
    assert gc.isenabled()
    assert (gc.get_freeze_count() > before + len(kept)) == (own and imported)


def test_an_import_that_fails_leaves_the_collector_as_it_was() -> None:
    before = gc.get_freeze_count()
    with pytest.raises(ImportError), uncollected_import():
        raise ImportError
    assert gc.isenabled() and gc.get_freeze_count() <= before  # what was frozen may be freed meanwhile
    gc.disable()
    try:
        with uncollected_import():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_measurements_collect_only_what_they_make_though_something_was_frozen_before() -> None:
    gc.freeze()
    try:
        kept = [[] for _ in range(20_000)]
        with collector_at_rest(), collector_at_rest():
            assert not gc.isenabled()
            assert len(gc.get_objects()) < len(kept)
        assert gc.isenabled() and len(gc.get_objects()) > len(kept)
    finally:
        gc.unfreeze()
