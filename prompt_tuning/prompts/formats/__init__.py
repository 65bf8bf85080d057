"""The prompt formats of other systems."""
