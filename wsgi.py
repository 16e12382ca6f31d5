"""The application for a WSGI server: `gunicorn wsgi:application` (its settings are in `gunicorn.conf.py`)."""

from tams import logs
from tams.config import Settings
from tams.serving.wsgi_factory import create_application

settings = Settings.from_env()
logs.configure(settings)
application = create_application(settings)
