"""`python -m bnmatrix`."""

from bnmatrix.cli import main

if __name__ == "__main__":
    main()
