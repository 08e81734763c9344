"""How sure the order of a board is, and what its figures mean."""
