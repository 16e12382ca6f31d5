"""The storage adapter for a local directory, behind URLs that this service signs."""
