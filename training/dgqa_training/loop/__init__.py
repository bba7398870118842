"""The training loop, and the crops that it reads."""
