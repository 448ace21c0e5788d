"""The back office."""

from __future__ import annotations

from . import actions, create, grid, jobs, saved_views, views  # they bring the addresses
from .blueprint import admin

__all__ = ["actions", "admin", "create", "grid", "jobs", "saved_views", "views"]
