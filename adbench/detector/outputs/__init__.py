"""What predictions leave in a folder: tables, pictures and contours."""
