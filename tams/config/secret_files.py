"""Secrets in files: `TAMS_SECRET_KEY_FILE`, for example, names a file that holds TAMS_SECRET_KEY."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from tams.config.fields import ConfigurationError

SUFFIX = "_FILE"


def with_secret_files(present: Mapping[str, str], secrets: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the variables with each secret that a file holds, and the path of the file by the secret's variable.

    A line break at the end of a file is not part of the secret.

    Raises:
        ConfigurationError: a file cannot be read or is empty, or the variable is set beside it.
    """
    variables, files = dict(present), {}
    for name in secrets:
        path = variables.pop(name + SUFFIX, None)
        if path is None:
            continue
        if name in variables:
            raise ConfigurationError(f"{name} and {name}{SUFFIX} are both set: remove one of them.")
        try:
            text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            raise ConfigurationError(
                f"{name}{SUFFIX} names {path}, which cannot be read ({reason}): name a file that this user may read."
            ) from error
        if not text.strip():
            raise ConfigurationError(f"{name}{SUFFIX} names {path}, which is empty: write the value into it.")
        variables[name], files[name] = text, path
    return variables, files
