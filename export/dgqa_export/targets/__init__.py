"""What runs a bundle elsewhere: TensorRT engines, Triton."""
