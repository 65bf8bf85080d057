"""Benchmarks: commands that time two sides in turns on one machine and print their ratio."""
