"""Explanations of scores: the most anomalous patch, the nearest normal patch, and the shares in their distance."""
