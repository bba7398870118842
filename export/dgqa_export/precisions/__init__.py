"""The same graph in fp16 and int8."""
