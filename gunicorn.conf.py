"""gunicorn's settings for `gunicorn wsgi:application`, read when it is started in this directory."""

from tams import logs
from tams.config import ConfigurationError, Settings
from tams.serving.application import gunicorn_settings
from tams.storage.configuration.configured import configured_backends

try:
    settings = Settings.from_env()
    configured_backends(settings)
except ConfigurationError as error:
    raise SystemExit(f"tams: {error}") from None

logs.configure(settings)
globals().update(gunicorn_settings(settings))
