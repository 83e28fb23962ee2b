"""A process that has imported what training and export need; programs that a test runs are forks of it.

Importing TensorFlow costs each process five seconds of a core. Where the start of a process is not what a test is
about, the programs `edgefm` and `python -c` of `fork_server` send their arguments, environment, folder and
streams to the server, and end with the exit code of its fork. Tests whose subject is a process start their own.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_CLIENT = """\
#!{python} -SE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    arguments = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
    socket.send_fds(server, [b" "], [0, 1, 2])
    server.sendall(json.dumps([arguments, os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    code = server.recv(16)
sys.exit(int(code))
"""
_SERVER = """\
import gc, json, os, select, signal, socket, sys
import edge_fm_runtime  # first: it switches off usage reports, for which OpenVINO would start processes
from edge_fm_export.compat.tensorflow_setup import require_tensorflow
require_tensorflow("the tests")
import matplotlib.figure, nncf, numpy, onnx, onnxruntime, openvino, optuna, tf2onnx, PIL.Image, rich.console
import edge_fm.__main__, edge_fm.cli
from edge_fm.compat.python_exit import run_exit_functions

def run(arguments, folder, environment, streams):
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = arguments
    if arguments[0] == "edgefm":
        sys.path.remove("")
        edge_fm.__main__.main()
    else:
        option, code = arguments[1:]
        assert option == "-c"
        sys.argv = ["-c"]
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})

def run_and_exit(*asked):
    try:
        run(*asked)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    run_exit_functions()
    sys.stdout.flush()
    os._exit(code)  # to take the interpreter down would copy all of its memory first

with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    gc.freeze()  # nor would garbage collections copy it
    print("ready", flush=True)
    while True:
        if sys.stdin in select.select([server, sys.stdin], [], [])[0]:
            sys.exit()  # the tests have ended
        connection, _ = server.accept()
        if os.fork() == 0:  # waits for the program, so that others can start
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _, streams, _, _ = socket.recv_fds(connection, 1, 3)
            asked = b"".join(iter(lambda: connection.recv(65536), b""))
            program = os.fork()
            if program == 0:
                break
            connection.sendall(b"%d" % (os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]) & 255))
            os._exit(0)
        connection.close()
connection.close()
run_and_exit(*json.loads(asked), streams)
"""


@contextlib.contextmanager
def fork_server() -> Iterator[Path]:
    """Start the server; the programs that are still running when it ends go on.

    Yields:
        a folder with `edgefm` and `python`.
    """
    with tempfile.TemporaryDirectory(prefix="edgefm-") as folder:  # an address has at most 104 bytes
        programs, address = Path(folder) / "bin", str(Path(folder) / "socket")
        programs.mkdir()
        for name in ("edgefm", "python"):
            (programs / name).write_text(_CLIENT.format(python=sys.executable, address=address))
            (programs / name).chmod(0o755)
        command = [sys.executable, "-c", _SERVER, address]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None and server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield programs
            server.stdin.close()
