"""The networks: backbones, heads, and their checkpoints."""
