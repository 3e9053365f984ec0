"""The same as `fusionbench predict ...`."""

import sys

from fusionbench.app.cli import main

sys.exit(main(["predict", *sys.argv[1:]]))
