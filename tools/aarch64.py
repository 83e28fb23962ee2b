"""Run `edgefm infer` and `edgefm verify` on an emulated aarch64 machine, and compare with this one.

    python tools/aarch64.py [--artifact FOLDER] [--cache FOLDER] [--may-skip]

The artifact is the newest ONNX export under runs/, else the shipped one.

Without root: apt fetches Debian's qemu-user-static and an arm64 Python 3.11 (lists in a folder of its own), dpkg
unpacks them, pip fetches aarch64 wheels. All is kept in the cache folder. Needs Debian or Ubuntu with python3.11 in its
archive.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
TREE = os.pathsep.join(map(str, (ROOT, ROOT / "export", ROOT / "runtime")))
EMULATOR = "qemu-user-static"
PACKAGES = (
    *("python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1", "libstdc++6"),
    *("libgomp1", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5", "libcrypt1", "libuuid1"),
)
WHEELS = ("numpy", "onnxruntime", "pillow", "click", "rich")


# The emulator shows the host's /proc/cpuinfo; ONNX Runtime looks for ARM cores in it and crashes without one.
CPUINFO = """processor\t: {number}
BogoMIPS\t: 100.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""


class Unavailable(Exception):
    """The emulator or what it runs cannot be had here."""


def call(command: list[str], cwd: Path | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise Unavailable(f"there is no {command[0]}: this needs Debian or Ubuntu")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(command[:3])} ... failed:\n{(done.stderr or done.stdout)[-2000:]}")


def fetch_packages(cache: Path) -> tuple[Path, Path]:
    """The emulator, and the root folder of the arm64 system."""
    root, host = cache / "root", cache / "host"
    emulator = host / "usr/bin/qemu-aarch64-static"
    if emulator.exists() and (root / "proc/cpuinfo").exists():  # written last
        return emulator, root
    debs, state = cache / "debs", cache / "apt"
    for folder in (debs, state / "lists/partial", state / "archives/partial", root, host):
        folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("dpkg") is None:
        raise Unavailable("there is no dpkg: this needs Debian or Ubuntu")
    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    own = architecture.stdout.strip()
    settings = {
        "Dir::State::lists": str(state / "lists"),
        "Dir::Cache::archives": str(state / "archives"),
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Architecture": own,
        "APT::Sandbox::User": "",
    }
    options = [f"-o{key}={value}" for key, value in settings.items()]
    options += [f"-oAPT::Architectures::={name}" for name in dict.fromkeys((own, "arm64"))]
    print("Fetching package lists, an emulator and an arm64 Python ...", file=sys.stderr)
    call(["apt-get", *options, "update"])
    call(["apt-get", *options, "download", EMULATOR, *(f"{name}:arm64" for name in PACKAGES)], cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        call(["dpkg", "-x", str(deb), str(host if deb.name.startswith(EMULATOR) else root)])
    (root / "proc").mkdir(exist_ok=True)
    cores = "".join(CPUINFO.format(number=number) for number in range(os.cpu_count() or 1))
    (root / "proc/cpuinfo").write_text(cores)
    return emulator, root


def fetch_wheels(cache: Path) -> Path:
    """A folder with the device's libraries for aarch64."""
    site, wheels = cache / "site", cache / "wheels"
    if (site / ".complete").exists():
        return site
    print("Fetching aarch64 wheels ...", file=sys.stderr)
    tags = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (28, 27, 26, 24, 17)]
    tags += ["--platform=manylinux2014_aarch64", "--python-version=3.11", "--implementation=cp", "--only-binary=:all:"]
    limits = ["--constraint", str(ROOT / "constraints.txt")]
    call([sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(wheels), *tags, *limits, *WHEELS])
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    (site / ".complete").touch()
    return site


def make_photos(artifact: Path, folder: Path) -> None:
    """The artifact's own golden inputs, as PNG."""
    from PIL import Image

    from edge_fm_runtime.artifacts.golden import load_golden

    for number, pixels in enumerate(load_golden(artifact / "golden.npz").images):
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(folder / f"{number:03}.png")


def edgefm(start: list[str], environment: dict[str, str], *arguments: str) -> str:
    command = [*start, "-c", "from edge_fm.cli import main; main()", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=600, cwd=ROOT
    )
    if done.returncode:
        sys.exit(
            f"edgefm {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, help="ONNX artifact; default: the newest export under runs/")
    parser.add_argument("--cache", type=Path, help="default: aarch64/ in the user's cache folder")
    parser.add_argument("--may-skip", action="store_true", help="where no emulator can be had, say so and succeed")
    given = parser.parse_args()
    from edge_fm_runtime.system.user_cache import cache_root

    cache = given.cache
    if cache is None:
        usual = cache_root()
        if usual is None:
            parser.error("this user has no cache folder: name one with --cache")
        cache = usual / "aarch64"
    cache = cache.resolve()
    try:
        emulator, root = fetch_packages(cache)
        site = fetch_wheels(cache)
    except Unavailable as error:
        line = f"SKIPPED: nothing was run on aarch64, as {error}"
        sys.exit(line if not given.may_skip else print(f"{'*' * 100}\n{line}\n{'*' * 100}", file=sys.stderr))
    compare(given.artifact or find_artifact(), emulator, root, site)


def find_artifact() -> Path:
    """The newest ONNX export of this working tree, else the shipped model."""
    found = sorted(ROOT.glob("runs/*/export/*-onnx-*/edgefm.json"), key=lambda p: p.stat().st_mtime)
    return found[-1].parent if found else ROOT / "runtime/edge_fm_runtime/models/edgenet-s-onnx-int8"


def compare(artifact: Path, emulator: Path, root: Path, site: Path) -> None:
    """Classify the artifact's golden images and verify it there, and classify them here.

    Exits with 1 where a label differs or verify fails.
    """
    artifact = artifact.resolve()
    emulated = {
        "PYTHONHOME": str(root / "usr"),
        "PYTHONPATH": os.pathsep.join((str(site), TREE)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "QEMU_LD_PREFIX": str(root),
    }
    there = [str(emulator), "-L", str(root), str(root / "usr/bin/python3.11")]
    with tempfile.TemporaryDirectory() as photos:
        make_photos(artifact, Path(photos))
        ask = ("infer", photos, "--model", str(artifact), "--json", "--quiet")
        print("edgefm infer, emulated ...", file=sys.stderr)
        theirs = [json.loads(line) for line in edgefm(there, emulated, *ask).splitlines()]
        ours = [json.loads(line) for line in edgefm([sys.executable], {"PYTHONPATH": TREE}, *ask).splitlines()]
    wrong = [a["input"] for a, b in zip(ours, theirs, strict=True) if a["label"] is None or a["label"] != b["label"]]
    apart = max(abs(a["score"] - b["score"]) for a, b in zip(ours, theirs, strict=True))
    print("edgefm verify, emulated ...", file=sys.stderr)
    verified = json.loads(edgefm(there, emulated, "verify", str(artifact), "--json", "--quiet"))
    print(f"{len(ours)} photos: {len(ours) - len(wrong)} labels alike, scores at most {apart:.2g} apart")
    print(f"verify: {'passed' if verified['passed'] else 'failed'}, largest difference {verified['max_abs_diff']:.2g}")
    if wrong or not verified["passed"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
