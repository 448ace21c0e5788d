"""The back office."""

from __future__ import annotations

from . import (  # they bring the addresses
    actions,
    configuration,
    configuration_file,
    configuration_history,
    create,
    delivery,
    detail,
    explanation,
    exports,
    grid,
    jobs,
    reports,
    saved_views,
    template_versions,
    templates,
    views,
)
from .blueprint import admin

__all__ = [
    "actions",
    "admin",
    "configuration",
    "configuration_file",
    "configuration_history",
    "create",
    "delivery",
    "detail",
    "explanation",
    "exports",
    "grid",
    "jobs",
    "reports",
    "saved_views",
    "template_versions",
    "templates",
    "views",
]
