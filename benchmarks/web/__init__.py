"""The npm package: whether its scores are Python's, and a picture of its demo."""
