"""A unit of work from images to its record."""
