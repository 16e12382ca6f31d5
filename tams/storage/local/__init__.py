"""Storage in a local directory, behind URLs that this service signs."""
