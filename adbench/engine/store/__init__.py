"""The files of a run: its record, its predictions and its folder."""
