"""Tables and charts over the results of many runs, beside the published ones."""
