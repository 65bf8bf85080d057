"""Benchmarks: commands that time two sides on one machine, in turns, and print their ratio."""
