"""Middleware: code that runs for every request, whatever its path."""
