"""gunicorn's settings for `gunicorn wsgi:application`, read when it is started in this directory."""

from tams.serving import gunicorn_conf

globals().update(gunicorn_conf.configuration)
