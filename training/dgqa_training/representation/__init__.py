"""A representation of our own: later blocks of a backbone learn to order degradations, without any rating."""
