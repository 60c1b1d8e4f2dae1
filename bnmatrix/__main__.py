"""`python -m bnmatrix`."""

import sys

if __name__ == "__main__":
    try:
        from bnmatrix.cli import main

        main()
    except KeyboardInterrupt:  # before `main` could catch it
        sys.exit(130)
