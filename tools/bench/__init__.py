"""The benchmark: speed and size of the store, compared with the limits of the machine (`python -m tools.bench`)."""
