"""Pretrained networks: weights, exports and what computes them."""
