"""What a cluster costs, measured and simulated."""
