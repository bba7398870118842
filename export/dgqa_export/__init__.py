"""From a checkpoint to a bundle, and from a bundle to an engine."""
