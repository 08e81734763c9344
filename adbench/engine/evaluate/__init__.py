"""From predictions to figures: anomaly maps, metrics, intervals and thresholds."""
