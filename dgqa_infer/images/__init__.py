"""Bytes become an upright sRGB photograph, and the photograph becomes crops."""
