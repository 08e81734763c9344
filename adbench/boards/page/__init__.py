"""A board's page: it works from disk, requests nothing from the network and trusts no text of a record."""
