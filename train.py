"""The same as `fusionbench train ...`."""

import sys

from fusionbench.app.cli import main

if __name__ == "__main__":  # scenes are simulated in processes of their own, which import this file
    sys.exit(main(["train", *sys.argv[1:]]))
