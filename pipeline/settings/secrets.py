"""Values from the environment, or from the files it names: containers and systemd hand secrets over as files."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pipeline.errors import ConfigurationError

MOST_KEYS: Final = 10  # the one in use and those that are being replaced
LEAST_MESSAGE_KEY: Final = 32  # characters; what is guessed offline has to be long
_FERNET_KEY_BYTES: Final = 32
_NEW_FERNET_KEY: Final = (
    "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"  # as its docs say
)
_NEW_MESSAGE_KEY: Final = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"


def given(environ: Mapping[str, str], name: str) -> str | None:
    """Return a variable without the spaces around it; an empty one counts as not set. Raises as `given_exactly`."""
    return (given_exactly(environ, name) or "").strip() or None


def given_exactly(environ: Mapping[str, str], name: str) -> str | None:
    """Return a variable as it is, or what the file holds that <name>_FILE names, without the newline at its end.

    Raises ConfigurationError where both are set, or the file cannot be read.
    """
    value, file = environ.get(name) or None, environ.get(f"{name}_FILE", "").strip()
    if not file:
        return value
    if value is not None:
        raise ConfigurationError(f"{name} and {name}_FILE are both set; keep one of the two")
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n") or None
    except OSError as error:
        raise ConfigurationError(f"{name}_FILE: {file} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}_FILE: {file} is not UTF-8 text") from None


def secret_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the Fernet keys of PIPELINE_SECRET_KEY: the first encrypts, all decrypt. Raises ConfigurationError."""
    keys = _keys(environ, "PIPELINE_SECRET_KEY")
    if not all(_is_fernet_key(key) for key in keys):
        raise ConfigurationError(
            "PIPELINE_SECRET_KEY has to be one Fernet key, or several separated by commas; this makes one: "
            + _NEW_FERNET_KEY
        )
    return keys


def message_keys(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the keys of PIPELINE_MESSAGE_KEY: the first signs, all verify. Raises ConfigurationError."""
    keys = _keys(environ, "PIPELINE_MESSAGE_KEY")
    if any(len(key) < LEAST_MESSAGE_KEY for key in keys):
        raise ConfigurationError(
            f"PIPELINE_MESSAGE_KEY has to be one key of {LEAST_MESSAGE_KEY} characters or more, or several separated "
            f"by commas; this makes one: {_NEW_MESSAGE_KEY}"
        )
    return keys


def accepts_unsigned(environ: Mapping[str, str]) -> bool:
    """Whether workers with a message key still take unsigned messages, while signing is being switched on."""
    said = (given(environ, "PIPELINE_ACCEPT_UNSIGNED") or "false").lower()
    if said not in {"true", "false"}:
        raise ConfigurationError("PIPELINE_ACCEPT_UNSIGNED is true or false")
    return said == "true"


def _keys(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in (given(environ, name) or "").split(",") if key.strip())
    if len(keys) > MOST_KEYS:
        raise ConfigurationError(f"{name} holds more than {MOST_KEYS} keys; drop those that nothing was made with")
    return keys


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(key)) == _FERNET_KEY_BYTES
    except ValueError:
        return False
