"""The back office."""

from __future__ import annotations

from . import actions, create, detail, exports, jobs, views  # they bring the addresses
from .blueprint import admin

__all__ = ["actions", "admin", "create", "detail", "exports", "jobs", "views"]
