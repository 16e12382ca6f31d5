"""What the store does: one module per resource, plain functions that take the `Store`. They own the transaction."""
