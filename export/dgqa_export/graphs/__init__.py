"""What the ONNX graphs of this project look like, and what is put into them."""
