"""The process of the command line: its signals, its streams and its exit code."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable

from edge_fm.compat.python_exit import exit_functions_registered, is_program, run_exit_functions
from edge_fm.signals import ENDING, catch_signals, ignore_signals, interruption
from edge_fm.streams import STDOUT, open_streams

_teardown = True


def run_process(run: Callable[[], None]) -> None:
    """Run the command line and end the process with its exit code.

    A signal of `signals.ENDING` ends it with 128 and the signal's number and without a traceback, whatever a library
    made of the exception on its way: some turn it into an ImportError, some go on.

    Args:
        run: the command line, which ends in SystemExit.
    """
    global _teardown  # noqa: PLW0603 - a process ends once
    catch_signals()
    _teardown = True
    alone = is_program("edge_fm", "edgefm") and not exit_functions_registered()
    code: object = 1

    def end() -> None:
        ignore_signals()
        if alone and not _teardown and isinstance(code, int):
            for stream in (sys.stdout, sys.stderr):
                _flush(stream)
            os._exit(code)

    atexit.register(end)  # as the first that is registered it is called last
    try:
        code = _exit_code(run)
    except BaseException:
        if interruption() is None:
            raise
        sys.stderr.write("Stopped.\n")
    if (stop := interruption()) is not None:
        # Everything is unwound. Threads of libraries that were left in the middle of their work are not waited for.
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        run_exit_functions()
        os._exit(stop.exit_code)
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: os._exit(code if isinstance(code, int) else 1))
    sys.exit(code)  # type: ignore[arg-type]  # as click gave it


def skip_teardown() -> None:
    """Let this process end without taking the interpreter apart, once threads have ended and exit functions have run.

    Python would delete every module and object, which for one photo takes a twentieth of the time, and finds nothing
    that the end of the process does not free. Only for a command whose libraries write no files. A program that calls
    the command line, or has exit functions of its own, ends as Python does.
    """
    global _teardown  # noqa: PLW0603
    _teardown = False


def _exit_code(run: Callable[[], None]) -> object:
    if not open_streams():
        sys.stderr.write("Error: stdout is closed, and results are printed there.\nRedirect it: > results.txt\n")
        return 1
    try:
        run()
    except SystemExit as end:
        return (end.code or 0) if _flush(sys.stdout) else end.code or 1
    return 0 if _flush(sys.stdout) else 1


def _flush(stream: object) -> bool:
    """Write what is buffered; False where that fails, after an error message."""
    try:
        stream.flush()  # type: ignore[attr-defined]  # a text stream
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"Error: {error.filename or STDOUT}: {error.strerror}.\n")
        return False
    return True
