"""One module per URL family: the views of a resource, and what only they need."""
