"""Batches of tokenized examples: their order, their padded shapes and their padding."""
