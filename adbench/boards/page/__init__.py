"""A board's page: it works from disk, asks nobody for anything and trusts no text of a record."""
