"""The same as `fusionbench predict ...`."""

import sys

from fusionbench.app.cli import main

if __name__ == "__main__":  # scenes are simulated in processes of their own, which import this file
    sys.exit(main(["predict", *sys.argv[1:]]))
