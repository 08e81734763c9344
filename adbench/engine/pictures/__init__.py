"""Pictures of a run: heatmaps, histograms, curves and points."""
