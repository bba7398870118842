"""Sinks that rows are written to, one a format."""
