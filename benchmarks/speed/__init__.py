"""How fast, on how many cores and which devices."""
