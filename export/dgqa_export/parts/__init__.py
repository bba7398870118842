"""Programs that make a part of a bundle anew: its head, classifier, thresholds, pooling, int8 graph."""
