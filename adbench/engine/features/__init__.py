"""From image files to features: reading, preparation, cache and contract checks."""
