"""Runs methods: recipes, streams of features, units of work, records."""
