"""Tasks made from a user's own CSV, TSV or JSONL files."""
