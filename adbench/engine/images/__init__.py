"""Images of a unit that need care: equal ones, contaminated training sets, corrupted test images, drifting streams."""
