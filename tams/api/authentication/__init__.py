"""Who asks, and whether they may: one gate before every request, and a module per kind of credentials."""

from tams.api.authentication.gate import install
from tams.api.authentication.schemes import security_schemes

__all__ = ["install", "security_schemes"]
