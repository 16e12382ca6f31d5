"""Reading of rows in order from a cluster that does not sort."""
