"""Domain values as JSON."""
