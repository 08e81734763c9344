"""Checks of banks before they learn."""
