"""Frozen models and their families, decoding, scoring, and pretrained weights."""
