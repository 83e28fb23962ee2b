"""The model that all suites measure: edgenet-s after one epoch on the images that come with the package, exported.

    python -m benchmarks.model FOLDER

What a model costs does not depend on how well it was trained. FOLDER is made anew.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

EDGEFM = Path(sys.executable).with_name("edgefm")
GATES = ("--max-drop", "5", "--min-agreement", "0.9")
"""One epoch leaves many near ties, which say nothing about the exports."""


def make_run(folder: Path) -> Path:
    """Train and export; returns `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    train = ["train", "--data", "fashion-mnist-mini", "--epochs", "1", "--out", str(folder), "--quiet"]
    export = ["export", str(folder), "--format", "all", "--precision", "all", *GATES, "--quiet"]
    for command in (train, export):
        subprocess.run([EDGEFM, *command], check=True, stdout=subprocess.DEVNULL)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    print(make_run(parser.parse_args().folder))


if __name__ == "__main__":
    main()
