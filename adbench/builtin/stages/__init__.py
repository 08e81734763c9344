"""Small stages around the three interfaces."""
