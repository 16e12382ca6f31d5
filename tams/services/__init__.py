"""The store's operations: a folder per feature, plain functions that take the `Store` and own the transaction."""
