"""Segments: listing and registration."""
