"""Photographs come over HTTP, are scored together, and go back as rows. Needs the extra `serve`."""
