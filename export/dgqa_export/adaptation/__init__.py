"""A bundle that fits photographs nobody has rated."""
