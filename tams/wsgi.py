"""The WSGI application, for `gunicorn --config python:tams.serving.gunicorn_conf tams.wsgi:application`."""

from tams import logs
from tams.config import Settings
from tams.serving.wsgi_factory import create_application

settings = Settings.from_env()
logs.configure(settings)
application = create_application(settings)
