"""A detector as one file for other programs, with the proof that it gives the same scores.

| module | holds |
|---|---|
| `parts.py` | the components of a method in the form that can be recorded |
| `graph.py`, `maps.py` | one module from image to score and map |
| `formats.py` | that module as a file of ONNX, OpenVINO or PyTorch, and what runs the file |
| `proof.py`, `synthetic.py` | the file's scores beside the detector's |
| `facts.py` | what the file says of itself |
| `exporting.py` | all this in order |
"""
