"""Commands about detectors: bank, fit, predict, show, watch."""
