"""Passwords and tokens: the site file says where they are, never what they are."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pytel.base.errors import ConfigError


class Secret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a secret is found: `{env: NAME}` in the environment, or `{file: path}` as the text of a file.

    The value itself is never kept, so that it cannot get into a log.
    """

    env: str | None = None
    file: str | None = None

    def reveal(self) -> str:
        """Fetch the secret. Raises `ConfigError` when it is not there."""
        if self.env is not None:
            if (value := os.environ.get(self.env)) is None:
                raise ConfigError(f"the environment variable {self.env}, which holds a secret, is not set")
            return value
        if self.file is None:
            raise ConfigError("a secret needs 'env' or 'file'")
        try:
            return Path(self.file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the secret in {self.file} cannot be read: {error}") from error
