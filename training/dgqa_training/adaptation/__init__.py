"""A model for given photographs: the types whose scores agree, and heads fitted from moments."""
