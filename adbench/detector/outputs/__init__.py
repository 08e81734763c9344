"""Files of predictions: tables, pictures and contours."""
