"""Datasets in folders, and their download."""
