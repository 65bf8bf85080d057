"""The prompt bank: initialisers, placements and prompt files."""
