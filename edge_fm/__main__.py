"""`python -m edge_fm`: the command `edgefm`, where no script is on the path."""

from edge_fm.cli import main

if __name__ == "__main__":
    main()
