"""Running the store: the gunicorn application, its processes, and the factory for other WSGI servers."""
