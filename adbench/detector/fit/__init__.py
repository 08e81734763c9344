"""From normal images to a method that has learned: images as given, fit, calibration, scores."""
