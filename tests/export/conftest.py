"""Small networks and their bundles."""

from small_networks import (
    grey_model,
    many_crops,
    sample_crops,
    small_bundle,
    small_graph,
    small_network,
)

__all__ = ["grey_model", "many_crops", "sample_crops", "small_bundle", "small_graph", "small_network"]
