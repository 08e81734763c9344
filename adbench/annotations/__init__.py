"""Annotations of drawing tools, labelme's and COCO's, as masks."""
