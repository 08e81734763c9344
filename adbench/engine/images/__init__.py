"""The images of a unit that need care: equal ones, contaminated training sets, corrupted test images, streams that drift."""
