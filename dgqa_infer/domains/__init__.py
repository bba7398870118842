"""The distortion types that photographs resemble, and how far a set has drifted."""
