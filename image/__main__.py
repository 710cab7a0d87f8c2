"""`python -m image`: what `make image` runs."""

import sys

from image.build.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
