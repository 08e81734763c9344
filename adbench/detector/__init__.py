"""Detectors: methods that have learned from normal images, to be asked, kept in a file and put to work.

| room or module | holds |
|---|---|
| `detector.py`, `prediction.py` | `Detector` and what it says of an image |
| `fit/` | from normal images to a method that has learned |
| `store/` | the file of a detector |
| `evaluation.py` | a detector measured on a dataset |
| `runs.py` | runs of methods on datasets, from Python |
"""
