"""TensorRT: engines built for this GPU, kept in a private cache."""
