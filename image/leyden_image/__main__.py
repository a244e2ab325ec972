"""Lets `python -m leyden_image` work."""

import sys

from leyden_image.cli import main

if __name__ == "__main__":
    sys.exit(main())
