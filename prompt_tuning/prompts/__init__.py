"""Soft prompts: the bank, initializers, placements and prompt files."""
