"""One module a concern of decoding; `dgqa_infer.images` puts them together."""
