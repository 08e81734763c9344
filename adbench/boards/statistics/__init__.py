"""Statistics of boards: tests between methods, and fingerprints of figures."""
