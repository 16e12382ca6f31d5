"""The application for a WSGI server: `gunicorn wsgi:application` (its settings are in `gunicorn.conf.py`)."""

from tams import logs
from tams.app import create_app
from tams.config import Settings

settings = Settings.from_env()
logs.configure(settings)
application = create_app(settings)
