"""The file of users that the settings name, and its check at the start."""

from __future__ import annotations

from tams.config import ConfigurationError, Settings
from tams.config.authentication import BASIC
from tams.services.access.users import UsersFile, UsersUnreadable


def users_of(settings: Settings) -> UsersFile:
    """Return the file of users that the settings name."""
    if settings.users_file is None:
        raise ValueError("the settings name no file of users: set TAMS_USERS_FILE")
    return UsersFile(settings.users_file)


def check_users(settings: Settings) -> None:
    """Check at the start that at least one user can log in if the settings ask for `basic`.

    Raises:
        ConfigurationError: The file of users cannot be read, or holds no user.
    """
    if BASIC not in (settings.auth or ()):
        return
    file = users_of(settings)
    try:
        is_empty = not file.path.exists() or not file.users()
    except UsersUnreadable as error:
        raise ConfigurationError(f"TAMS_AUTH names basic, but {error}: fix the file, then start again.") from error
    if is_empty:
        raise ConfigurationError(
            f"TAMS_AUTH names basic, but {file.path} holds no user: add the first with tams users add NAME --scope "
            "read, or name another file with TAMS_USERS_FILE."
        )
