"""Settings from the environment, read once at the start."""

from tams.config.fields import ConfigurationError
from tams.config.settings import DEVELOPMENT, PRODUCTION, SettingDocument, Settings, documentation

__all__ = ["DEVELOPMENT", "PRODUCTION", "ConfigurationError", "SettingDocument", "Settings", "documentation"]
