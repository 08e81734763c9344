"""Image and mask files to pixels."""
