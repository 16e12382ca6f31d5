"""HTTP: a blueprint per resource. Knows requests and responses, decides nothing about media."""
