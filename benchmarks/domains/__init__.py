"""Which distortion types are selected, and what training on them is worth."""
