"""The back office."""

from __future__ import annotations

from . import actions, create, exports, jobs, views  # they bring the addresses
from .blueprint import admin

__all__ = ["actions", "admin", "create", "exports", "jobs", "views"]
