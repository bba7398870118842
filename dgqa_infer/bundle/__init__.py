"""A model on disk: its graphs, its card, and how crops are made for it."""
