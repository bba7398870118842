"""Runtimes that score crops, behind one protocol."""
