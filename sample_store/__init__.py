"""The sample store: a small shop that shows how a store takes up the plugin."""

from __future__ import annotations

from .app import create_app

__all__ = ["create_app"]
