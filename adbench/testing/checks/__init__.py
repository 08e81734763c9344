"""The rules of the contracts, a module for each kind of component."""
