"""The WSGI application for `gunicorn wsgi:application` in a clone, whose settings are in `gunicorn.conf.py`."""

from tams.wsgi import application

__all__ = ["application"]
