"""T5 in Flax Linen, the prompted T5, decoding, and pretrained weights."""
