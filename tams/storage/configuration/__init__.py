"""The configuration of Storage Backends, from the settings or from the backends file."""
