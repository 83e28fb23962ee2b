"""Build edge_fm/data/fashion-mnist-mini.png from the whole of Fashion-MNIST.

    python tools/build_mini.py

Prints the SHA-256 that `edge_fm.data.mini.SHA256` must hold. The same images come out every time.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edge_fm.data import fashion_mnist, mini


def main() -> None:
    packed, digest = mini.pack(fashion_mnist.load(note=lambda line: print(line, file=sys.stderr)))
    target = Path(mini.__file__).with_name(mini.FILE)
    target.write_bytes(packed)
    print(f"{target.name}: {len(packed)} bytes, SHA-256 of the pixels:")
    print(digest)


if __name__ == "__main__":
    main()
