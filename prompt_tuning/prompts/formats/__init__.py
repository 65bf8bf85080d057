"""Forms of other systems that prompts are read from and written to."""
