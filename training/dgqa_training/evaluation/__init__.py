"""How well scores agree with ratings: metrics, intervals and protocols."""
