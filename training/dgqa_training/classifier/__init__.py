"""The domain classifier: its training, and what is reported of it."""
