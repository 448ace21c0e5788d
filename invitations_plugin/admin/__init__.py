"""The back office."""

from __future__ import annotations

from .views import admin

__all__ = ["admin"]
