"""Records of a board: read, checked and merged."""
