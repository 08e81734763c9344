"""One adapter for each of anomalib's models, and the names of all of them."""
