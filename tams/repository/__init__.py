"""The repository port (`port`), what its adapters share (`index`, `codecs`, `seed_batches`), and the adapters.

Importing this package imports no adapter.
"""
