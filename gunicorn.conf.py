"""Read by `gunicorn wsgi:application` when it is started in this directory."""

from tams import logs
from tams.config import ConfigurationError, Settings
from tams.server import gunicorn_settings

try:
    settings = Settings.from_env()
except ConfigurationError as error:
    raise SystemExit(f"tams: {error}") from None

logs.configure(settings)
globals().update(gunicorn_settings(settings))
