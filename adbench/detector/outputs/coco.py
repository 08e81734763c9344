"""The contours of all images as one COCO file, which is made of a line for each image."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from adbench.api.atomic_file import temporary_file
from adbench.detector.outputs.contours import COCO_HEAD, MarkedRegion, coco_annotation, coco_image
from adbench.detector.outputs.lines import LineFile


class CocoFile:
    """A COCO file that is written from its lines; however many images there are, memory stays the same.

    Args:
        path: of the COCO file.
        lines: hold a JSON object for each image, an image of COCO with its ``annotations``; all ids in it are 0.
    """

    def __init__(self, path: Path, lines: LineFile) -> None:
        self._path, self._lines = path, lines

    def add(self, name: str, size: tuple[int, int], regions: Sequence[MarkedRegion]) -> None:
        """Add the line of an image.

        Args:
            name: of the image.
            size: its height and width.
            regions: what is marked in it.

        Raises:
            OSError: the disk is full.
        """
        annotations = [coco_annotation(region, 0, 0) for region in regions]
        self._lines.append(json.dumps({**coco_image(name, size, 0), "annotations": annotations}) + "\n")

    def write(self) -> None:
        """Write the COCO file of all lines so far, whole or not at all; images and annotations are numbered from 1.

        Raises:
            OSError: the disk is full.
        """
        with temporary_file(self._path) as temporary:
            temporary.file.write(json.dumps(dict(COCO_HEAD)).encode()[:-1])
            _write_list(temporary.file, "images", self._images())
            _write_list(temporary.file, "annotations", self._annotations())
            temporary.file.write(b"}\n")
            temporary.file.close()
            temporary.publish()

    def _images(self) -> Iterator[dict[str, Any]]:
        for number, line in enumerate(self._lines, 1):
            image = json.loads(line)
            del image["annotations"]
            yield {**image, "id": number}

    def _annotations(self) -> Iterator[dict[str, Any]]:
        total = 0
        for number, line in enumerate(self._lines, 1):
            for annotation in json.loads(line)["annotations"]:
                total += 1
                yield {**annotation, "id": total, "image_id": number}


def _write_list(file: IO[bytes], key: str, items: Iterator[dict[str, Any]]) -> None:
    file.write(f',\n"{key}": ['.encode())
    for number, item in enumerate(items):
        file.write((",\n" if number else "\n").encode() + json.dumps(item).encode())
    file.write(b"]")
