"""The quality regressor: tuned networks, and linear heads on frozen features."""
