"""Soft prompt transfer (SPoT): source tuning, then target tuning from it."""
