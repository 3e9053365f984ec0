"""The same as `fusionbench evaluate ...`."""

import sys

from fusionbench.app.cli import main

sys.exit(main(["evaluate", *sys.argv[1:]]))
