"""An environment as `pip install edge-fm` without extras makes it, from links to what is installed here; no network."""

from __future__ import annotations

import os
import subprocess
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from time_limits import HANG_S

ROOT = Path(__file__).parents[3]
BASE = ("click", "numpy", "onnxruntime", "pillow", "rich")


def make_base_install(folder: Path) -> Path:
    """Make the environment in `folder`.

    Returns:
        its `bin` folder, with `python` and `edgefm`.
    """
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in _with_requirements(BASE):
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            place = site / top
            if not place.exists():
                place.symlink_to(str(distribution.locate_file(top)))
    (site / "edge_fm.pth").write_text(f"{ROOT}\n{ROOT / 'export'}\n{ROOT / 'runtime'}\n")
    script = folder / "bin/edgefm"
    script.write_text(f"#!{folder / 'bin/python'}\nfrom edge_fm.cli import main\nmain()\n")
    script.chmod(0o755)
    return folder / "bin"


def run_in(
    binaries: Path, script: str, cwd: Path, *, shell: str = "bash", timeout_s: float = HANG_S
) -> subprocess.CompletedProcess[str]:
    """Run a script in `cwd` with an environment's programs first, and a home of its own.

    Args:
        binaries: the environment's `bin` folder.
        script: what is run.
        cwd: where.
        shell: "bash", or "python" for Python code.
        timeout_s: after this it is killed, and the test fails.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("EDGEFM_", "PYTHON"))}
    home = cwd.parent / "home"
    home.mkdir(exist_ok=True)
    environment |= {"PATH": f"{binaries}:{environment['PATH']}", "HOME": str(home), "XDG_CACHE_HOME": str(home)}
    command = ["bash", "-euo", "pipefail", "-c", script] if shell == "bash" else [binaries / "python", "-c", script]
    return subprocess.run(
        command, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s
    )


def _with_requirements(names: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                open_names.append(requirement.name.lower())
    return found
