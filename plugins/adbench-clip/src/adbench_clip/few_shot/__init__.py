"""Classification by a few labelled images: banks of exemplars, and scorers that compare images with them."""
