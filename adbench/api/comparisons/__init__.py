"""What the score of a patch is made of."""
