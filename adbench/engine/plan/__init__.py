"""What is to be run, before anything runs: recipes, suites, protocols and units. Imports no torch."""
