"""The `edgefm` command: signals and streams are prepared before anything that takes time is imported."""

from __future__ import annotations

from edge_fm.process import run_process


def main() -> None:
    """Run the command line and end the process with its exit code; the entry point of `edgefm`."""
    run_process(_import_and_run)


def _import_and_run() -> None:
    from edge_fm_runtime.system.garbage_collection import uncollected_import

    with uncollected_import():
        from edge_fm.cli import run
    run()


if __name__ == "__main__":
    main()
