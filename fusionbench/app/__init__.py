"""From the command line to a finished run: compose, check, write the resolved configuration, work."""
