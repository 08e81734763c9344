"""How patch scores become a map of pixels."""
