"""Authentication and authorization: a gate before every request, and a module for each kind of credentials."""

from tams.api.authentication.gate import install
from tams.api.authentication.schemes import security_schemes

__all__ = ["install", "security_schemes"]
