"""Tables of a board."""
