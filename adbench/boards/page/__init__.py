"""A board's page: one file that works from disk, asks nobody for anything and trusts no text of a record."""
