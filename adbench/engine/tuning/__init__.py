"""From normal images to a tuned backbone: the images as tuners get them, the tuned weights, and their cache."""
