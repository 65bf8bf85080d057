"""The report of a transfer study: its scores, its tables and figures, and its page."""
