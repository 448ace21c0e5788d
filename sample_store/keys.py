"""The app's keys: made once into the instance, refused when a given one is weak."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from flask import Flask

NAMES = ("SECRET_KEY", "INVITATIONS_HASH_KEY")
MIN_LENGTH = 32
MIN_DIFFERENT = 10
PLACEHOLDERS = ("change", "secret", "password", "example", "default", "insecure")


class WeakKey(RuntimeError):
    """A key was given that somebody could guess."""


def init_app(app: Flask) -> None:
    """Give the app its keys.

    :raises WeakKey: for a guessable one, unless the app is debugged or tested.
    """
    for name in NAMES:
        given = app.config.get(name)
        app.config[name] = given or stored_key(Path(app.instance_path), name.lower())
        _check(app, name, app.config[name])
    for fallback in app.config.get("SECRET_KEY_FALLBACKS") or ():
        _check(app, "SECRET_KEY_FALLBACKS", fallback)


def stored_key(instance: Path, name: str) -> str:
    """Return the key kept in the instance; the first of several starting processes makes it."""
    path = instance / name
    if not path.exists():
        _create(path)
    return path.read_text().strip()


def _create(path: Path) -> None:
    """Write the whole key beside, then link it: nobody ever reads half of one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first: its key counts
    finally:
        draft.unlink()


def _check(app: Flask, name: str, key: str) -> None:
    if is_weak(key) and not (app.debug or app.testing):
        raise WeakKey(
            f"{name} can be guessed. Leave it unset and the store makes one, or give"
            f" {MIN_LENGTH} random characters: python -c 'import secrets;"
            " print(secrets.token_urlsafe(48))'"
        )


def is_weak(key: str) -> bool:
    """Return whether a key is short, monotonous or copied from an example."""
    return (
        len(key) < MIN_LENGTH
        or len(set(key)) < MIN_DIFFERENT
        or any(word in key.lower() for word in PLACEHOLDERS)
    )
