"""Scores as stars in XMP sidecars, where photo managers look for them."""
