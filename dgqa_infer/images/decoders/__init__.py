"""One module a concern of decoding; `dgqa_infer.images.decode` puts them together."""
