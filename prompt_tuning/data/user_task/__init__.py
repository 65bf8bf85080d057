"""Tasks made from files of the user's own: CSV, TSV and JSON lines."""
