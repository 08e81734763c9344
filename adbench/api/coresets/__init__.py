"""Coresets: a few vectors that cover many."""
