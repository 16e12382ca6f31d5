"""What clients may send: marshmallow schemas, one module per resource."""
