"""Write edge_fm/experiments/current.json: which network and data each experiment has now.

    python tools/record_experiments.py

Run it after a change of edge_fm/models or edge_fm/data. Where only names or layout changed, the hashes of the networks
and of the data stay; where one changes, the kept results of its experiments are out of date and listed as such. Needs
Keras and Fashion-MNIST (`edgefm data fetch`).
"""

from __future__ import annotations

from edge_fm.data import fashion_mnist
from edge_fm.experiments import load_experiments
from edge_fm.experiments.current import FILE, record
from edge_fm.training.run.run_folder import write_json


def main() -> None:
    """Fetch the data where it is missing, build every network once, and write the file."""
    fashion_mnist.fetch(note=print)
    write_json(FILE, record({row.name: row.recipe for row in load_experiments()}))
    print(f"Wrote {FILE}")


if __name__ == "__main__":
    main()
