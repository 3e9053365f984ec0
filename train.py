"""The same as `fusionbench train ...`."""

import sys

from fusionbench.app.cli import main

sys.exit(main(["train", *sys.argv[1:]]))
