"""Maps of pixels from patch scores."""
