"""What banks of every kind check before they learn."""
