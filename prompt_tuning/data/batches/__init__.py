"""Batches of tokenized examples: their order, their padded shapes, and how much of them pads."""
