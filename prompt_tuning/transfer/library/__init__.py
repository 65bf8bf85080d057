"""Prompt libraries: their entries and index, search, compatibility and provenance."""
