"""The back office."""

from __future__ import annotations

from . import (  # they bring the addresses
    actions,
    create,
    detail,
    exports,
    grid,
    jobs,
    saved_views,
    template_versions,
    templates,
    views,
)
from .blueprint import admin

__all__ = [
    "actions",
    "admin",
    "create",
    "detail",
    "exports",
    "grid",
    "jobs",
    "saved_views",
    "template_versions",
    "templates",
    "views",
]
