"""Settings from the environment, read once at the start."""

from tams.config.deployment import DEVELOPMENT, PRODUCTION
from tams.config.environment import SettingDocument
from tams.config.fields import ConfigurationError
from tams.config.in_force import in_force
from tams.config.settings import Settings, documentation

__all__ = [
    "DEVELOPMENT",
    "PRODUCTION",
    "ConfigurationError",
    "SettingDocument",
    "Settings",
    "documentation",
    "in_force",
]
