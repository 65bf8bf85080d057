"""Tables, plots and statistics over finished runs."""
