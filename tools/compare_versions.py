"""Compare two installed versions of EdgeFM: help texts, JSON, exit codes, artifacts' bytes and `edgefm.json`.

    python tools/compare_versions.py OLD/bin/edgefm NEW/bin/edgefm FOLDER

One model, trained by the old version, is exported by both; every command is then asked the same. What differs is
printed, and nothing else; times, paths and measured figures are left out. Exits 1 where anything differs.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

RECIPE = """
name = "compared"
[model]
name = "lenet5"
[data]
source = "fashion-mnist-mini"
[training]
epochs = 1
"""
MEASURED = re.compile(
    r"seconds|_s$|_ms$|_mib$|date|time|created|path|folder|run_dir|^dir$|file|host|machine|per_second|latency|command|"
    r"uuid|load|memory|peak|speed|ratio|percent|rounds|samples|order|conditions|hash_of_run"
)
"""Keys whose values differ between two runs of one version; they must be there, whatever they hold."""
HELPS = [
    "",
    "train",
    "search",
    "crossval",
    "sweep",
    "experiments",
    "export",
    "infer",
    "verify",
    "evaluate",
    "benchmark",
]
HELPS += ["report", "autotune", "models", "data", "data fetch", "data info", "data show", "doctor", "quickstart"]
ONNX = "out/lenet5-onnx-int8"
ASKED: dict[str, list[str]] = {
    "export": ["export", "../run", "--format", "all", "--precision", "all", "--out", "out", "--json"],
    "infer": ["infer", "../photo.png", "--model", ONNX, "--json"],
    "infer csv": ["infer", "../photo.png", "--model", ONNX, "--csv"],
    "infer text": ["infer", "../photo.png", "--model", ONNX],
    "infer packaged": ["infer", "../photo.png", "--model", "edgenet-s-onnx-int8", "--json"],
    "verify": ["verify", ONNX, "--json"],
    "verify against": ["verify", ONNX, "--against", "../run", "--json"],
    "verify text": ["verify", ONNX, "--against", "../run"],
    "evaluate": ["evaluate", ONNX, "--data", "fashion-mnist-mini", "--json"],
    "evaluate run": ["evaluate", "../run", "--json"],
    "benchmark": ["benchmark", ONNX, "--against", "../run", "--duration", "0.2", "--json", "--out", "measured"],
    "autotune": ["autotune", ONNX, "--duration", "0.1", "--json"],
    "train": ["train", "--recipe", "../compared.toml", "--out", "trained", "--json"],
    "models": ["models", "--json"],
    "data": ["data", "info", "fashion-mnist-mini", "--json"],
    "experiments": ["experiments", "--json"],
    "doctor": ["doctor", "--json"],
    # Mistakes: exit codes, and what is said of them.
    "no such command": ["exprot"],
    "no such option": ["infer", "--modle", "x"],
    "no such photo": ["infer", "absent.png", "--model", ONNX],
    "not a photo": ["infer", "../compared.toml", "--model", ONNX],
    "not an artifact": ["verify", ".."],
    "no such run": ["export", "absent"],
    "no such recipe": ["train", "--recipe", "absnet.toml"],
    "no such model": ["train", "--model", "lenet6"],
    "no such data": ["train", "--data", "absent"],
    "no such engine": ["infer", "../photo.png", "--model", ONNX, "--engine", "tpu"],
    "gate fails": ["export", "../run", "--format", "onnx", "--precision", "int8", "--out", "no", "--max-drop", "-50"],
}


def main(old: str, new: str, folder: str) -> int:
    """Run both versions over all that is asked; print what differs."""
    root = Path(folder)
    root.mkdir(parents=True)
    (root / "compared.toml").write_text(RECIPE)
    code, _, errors = said(old, ["train", "--recipe", "compared.toml", "--out", "run"], root)
    if code:
        print(f"The old version cannot train the model that both export: {errors}", file=sys.stderr)
        return 2
    program = "from edge_fm.data import sample_photo, load_dataset; "
    program += "sample_photo(load_dataset('fashion-mnist-mini').test.images[3], 'photo.png')"
    subprocess.run([str(Path(old).resolve().with_name("python")), "-c", program], cwd=root, check=True)
    results = {}
    for name, binary in (("old", old), ("new", new)):
        (root / name).mkdir()
        results[name] = everything(binary, root / name)
    different = 0
    for key in sorted({*results["old"], *results["new"]}):
        one, other = results["old"].get(key), results["new"].get(key)
        if one != other:
            different += 1
            print(f"## {key}\n{difference(one, other)}\n")
    print(f"{len(results['old'])} things compared, {different} differ.")
    return int(different > 0)


def everything(binary: str, folder: Path) -> dict[str, Any]:
    """What a version says and makes: title -> text, object or hash."""
    found: dict[str, Any] = {}
    for name in HELPS:
        found[f"edgefm {name} --help"] = said(binary, [*name.split(), "--help"], folder)[1]
    for title, arguments in ASKED.items():
        code, out, err = said(binary, arguments, folder)
        found[f"{title}: exit code"] = code
        if "--json" in arguments and code in (0, 3, 4):
            found[f"{title}: JSON"] = plain(json.loads(out))
        else:
            found[f"{title}: output"] = without_figures(out)
        if code not in (0,):
            found[f"{title}: errors"] = without_figures(err)
    for file in sorted((folder / "out").rglob("*")):
        if file.is_file():
            key = f"artifact {file.relative_to(folder / 'out')}"
            content = file.read_bytes()
            if file.name == "edgefm.json":
                found[key] = plain(json.loads(content))
            elif file.suffix in (".md", ".html"):
                found[key] = without_figures(content.decode())
            else:
                found[key] = hashlib.sha256(content).hexdigest()
    return found


def said(binary: str, arguments: list[str], folder: Path) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    done = subprocess.run(
        [str(Path(binary).absolute()), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def plain(value: Any, key: str = "") -> Any:
    """A JSON value without what differs from run to run."""
    if isinstance(value, dict):
        return {name: plain(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each, key) for each in value]
    if MEASURED.search(key):
        return f"({type(value).__name__ if not isinstance(value, int | float) else 'number'})"
    return without_figures(value) if isinstance(value, str) else value


def without_figures(text: str) -> str:
    """A text without what differs from run to run: times, dates, folders and progress."""
    text = re.sub(r"\S*/(?:old|new)/", "", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT?[\d:.+Z ]*", "DATE", text)
    return re.sub(r"\d+(?:\.\d+)? ?(?:s|ms|MiB|minutes|seconds|images/s)\b", "N", text)


def difference(one: Any, other: Any) -> str:
    """A unified diff of two results."""
    old, new = (
        (value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True)).split("\n")
        for value in (one, other)
    )
    return "\n".join(difflib.unified_diff(old, new, "old", "new", n=1, lineterm=""))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
