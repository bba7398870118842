"""Measurements of this machine: what `dgqa-infer bench` does."""
