"""The kinds of files of a prediction beside its row."""

KINDS = ("heatmaps", "masks", "labelme", "coco")
"""Pictures of the anomaly map, the marked pixels, and their contours in two forms."""
