"""A store as different from the sample store as real ones are."""

from __future__ import annotations

from .app import create_app

__all__ = ["create_app"]
