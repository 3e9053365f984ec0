"""The same as `fusionbench evaluate ...`."""

import sys

from fusionbench.app.cli import main

if __name__ == "__main__":  # scenes are simulated in processes of their own, which import this file
    sys.exit(main(["evaluate", *sys.argv[1:]]))
