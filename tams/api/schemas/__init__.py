"""Marshmallow schemas of bodies, queries and answers: fields, base classes, and a file per resource."""
