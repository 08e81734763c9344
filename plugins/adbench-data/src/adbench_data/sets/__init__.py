"""The published sets: a class each, which is the rule from its folders to its images."""
