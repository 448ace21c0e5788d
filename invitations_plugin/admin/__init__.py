"""The back office."""

from __future__ import annotations

from . import (  # they bring the addresses
    actions,
    create,
    jobs,
    template_versions,
    templates,
    views,
)
from .blueprint import admin

__all__ = ["actions", "admin", "create", "jobs", "template_versions", "templates", "views"]
