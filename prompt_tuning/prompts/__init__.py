"""The prompt bank: initializers, placements and prompt files."""
