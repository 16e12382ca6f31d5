"""How fast and how large the store is, beside what the machine could do at best: `python -m tools.bench`."""
