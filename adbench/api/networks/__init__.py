"""Pretrained networks: their weights, exports and runtimes."""
