"""Performance figures: medians of repeated runs, as ratios against a reference measured in the same run."""
