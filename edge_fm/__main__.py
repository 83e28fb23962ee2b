"""The `edgefm` command: signals and streams are prepared before anything that takes time is imported."""

from __future__ import annotations

import atexit
import os
import signal
import sys

from edge_fm.signals import ENDING, catch_signals, ignore_signals, interruption
from edge_fm.streams import STDOUT, open_streams


def main() -> None:
    """Run the command line and end the process with its exit code; the entry point of `edgefm`.

    A signal of `signals.ENDING` ends it with 128 and the signal's number and without a traceback, whatever a library
    made of the exception on its way: some turn it into an ImportError, some go on.
    """
    catch_signals()
    atexit.register(ignore_signals)  # as the first that is registered it is called last
    code: object = 1
    try:
        code = _run()
    except BaseException:
        if interruption() is None:
            raise
        sys.stderr.write("Stopped.\n")
    if (stop := interruption()) is not None:
        # Everything is unwound. Threads of libraries that were left in the middle of their work are not waited for.
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        from edge_fm.compat.python_exit import run_exit_functions

        run_exit_functions()
        os._exit(stop.exit_code)
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code if isinstance(code, int) else 1))
    sys.exit(code)  # type: ignore[arg-type]  # as click gave it


def _run() -> object:
    """Run the command line; its exit code."""
    if not open_streams():
        sys.stderr.write("Error: stdout is closed, and results are printed there.\nRedirect it: > results.txt\n")
        return 1
    try:
        from edge_fm.cli import run

        run()
    except SystemExit as end:
        return (end.code or 0) if _flush(sys.stdout) else end.code or 1
    return 0 if _flush(sys.stdout) else 1


def _flush(stream: object) -> bool:
    """Write what is buffered; False where that fails, which is said."""
    try:
        stream.flush()  # type: ignore[attr-defined]  # a text stream
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"Error: {error.filename or STDOUT}: {error.strerror}.\n")
        return False
    return True


if __name__ == "__main__":
    main()
