"""Build the wheel, look into it, install it alone in a fresh environment, and classify a photo far from the tree.

    python tools/check_wheel.py

Exits with 1 and says what is wrong when the wheel holds anything but the three packages, when a base install cannot
classify, or when classifying loads a module of the training side.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {"edge_fm", "edge_fm_export", "edge_fm_runtime"}
FORBIDDEN = ["tensorflow", "keras", "onnx", "openvino", "sklearn", "matplotlib", "tf2onnx", "nncf"]

PROBE = f"""
import json, sys
sys.argv = ["edgefm", "infer", sys.argv[2], "--model", sys.argv[1], "--json"]
from edge_fm.cli import cli
cli(standalone_mode=False)
print(json.dumps([m for m in {FORBIDDEN!r} if m in sys.modules]))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; returns its stdout, or ends with its stderr."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def check_contents(wheel: Path) -> None:
    """The three packages and the wheel's own metadata, nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    others = {t for t in tops - PACKAGES if not t.endswith(".dist-info")}
    if others or not tops >= PACKAGES:
        sys.exit(f"The wheel holds {sorted(tops)}; it must hold {sorted(PACKAGES)} and its metadata alone.")
    if junk := [n for n in names if "__pycache__" in n or "/tests/" in n]:
        sys.exit(f"The wheel holds {junk}.")
    for package in PACKAGES:
        if f"{package}/py.typed" not in names:
            sys.exit(f"The wheel lacks {package}/py.typed.")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT, cwd=folder)
        (wheel,) = folder.glob("*.whl")
        check_contents(wheel)
        artifact, photo = make_artifact(folder)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env/bin/python"
        run(python, "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel, cwd=folder)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        printed, loaded = run(python, "-c", PROBE, artifact, photo, cwd=elsewhere).splitlines()
        if json.loads(loaded):
            sys.exit(f"Classifying one photo loaded {json.loads(loaded)}.")
        if json.loads(printed)["error"] is not None:
            sys.exit(f"The base install could not classify: {printed}")
        run(folder / "env/bin/edgefm", "verify", artifact, cwd=elsewhere)
        run(folder / "env/bin/edgefm", "doctor", cwd=elsewhere)
        # The model in the package, with nothing named.
        run(folder / "env/bin/edgefm", "infer", photo, cwd=elsewhere)
        run(folder / "env/bin/edgefm", "verify", cwd=elsewhere)
        print(
            f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, predicts {json.loads(printed)['label']!r} on its own."
        )


def make_artifact(folder: Path) -> tuple[Path, Path]:
    """Train for one epoch on the mini set, export to ONNX, and write a photo, with this environment's edgefm."""
    edgefm = Path(sys.executable).with_name("edgefm")
    small = ("--data", "fashion-mnist-mini", "--epochs", "1", "--out", folder / "run")
    run(edgefm, "train", *small, cwd=folder)
    run(edgefm, "export", folder / "run", "--format", "onnx", "--out", folder / "artifacts", cwd=folder)
    (artifact,) = (folder / "artifacts").glob("*-onnx-fp32")
    from edge_fm.data import load_dataset, sample_photo

    photo = folder / "photo.jpg"
    sample_photo(load_dataset("fashion-mnist-mini").test.images[0], photo)
    return artifact, photo


if __name__ == "__main__":
    main()
