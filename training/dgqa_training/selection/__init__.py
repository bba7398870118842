"""Which distortion types resemble the target photographs: DGQA's rule, and published selections."""
