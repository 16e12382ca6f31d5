"""The `tams` command: one module per group of commands."""
