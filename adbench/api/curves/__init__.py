"""Exact curves over all thresholds."""
