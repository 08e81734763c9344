"""Datasets in folders, and how one is fetched."""
