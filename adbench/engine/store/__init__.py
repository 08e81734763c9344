"""Records, predictions and where they lie: the files of a run."""
