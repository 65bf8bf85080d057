"""Forms in which a backbone is stored: how each is opened and written."""
