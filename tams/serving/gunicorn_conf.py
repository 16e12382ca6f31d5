"""gunicorn's settings for `tams.wsgi:application`, which gunicorn reads as the variables of this module."""

from tams import logs
from tams.config import ConfigurationError, Settings
from tams.serving.application import gunicorn_settings
from tams.storage.configuration.configured import configured_backends

try:
    settings = Settings.from_env()
    settings.check_serving()
    configured_backends(settings)
except ConfigurationError as error:
    raise SystemExit(f"tams: {error}") from None

logs.configure(settings)
configuration = gunicorn_settings(settings)
globals().update(configuration)
