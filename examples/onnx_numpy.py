"""Score images with an exported detector: ONNX Runtime and NumPy are all that is needed.

    python onnx_numpy.py bolt.onnx images.npy

``images.npy`` holds RGB images [N, H, W, 3] of the size that the file takes: uint8, or float32 from 0 to 1 where the
file says so. Prints a line for each image: score, p-value, and whether it is defective. The file also gives the anomaly
map of each image; here its highest place is printed.
"""

import json
import sys

import numpy as np
import onnxruntime


def main(model: str, images: str) -> None:
    """Score the images in a file of NumPy."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    facts = session.get_modelmeta().custom_metadata_map
    threshold, normal = json.loads(facts["threshold"]), np.array(json.loads(facts["normal_scores"]))
    takes = session.get_inputs()[0].shape[0]
    pictures = np.load(images, allow_pickle=False)
    for start in range(0, len(pictures), takes):
        some = pictures[start : start + takes]
        full = np.concatenate([some, np.repeat(some[-1:], takes - len(some), axis=0)])
        scores, *maps = session.run(None, {"image": full})
        for place in range(len(some)):
            p_value = (1 + np.sum(normal >= scores[place])) / (len(normal) + 1)
            verdict = "unknown" if threshold is None else "defective" if scores[place] > threshold else "normal"
            row, column = np.unravel_index(maps[0][place].argmax(), maps[0][place].shape) if maps else (-1, -1)
            print(f"{start + place},{scores[place]!r},{p_value:.4g},{verdict},{row},{column}")


if __name__ == "__main__":
    main(*sys.argv[1:])
