"""Deleting Flows, Segments, Sources and Objects, at once or by a Flow Delete Request."""
