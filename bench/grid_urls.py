"""Django's addresses: the admin with 20 rows a page, and the same with 200."""

from __future__ import annotations

from typing import Any

urlpatterns: list[Any] = []


def patterns(short: Any, long: Any) -> list[Any]:
    from django.urls import path

    return [path("admin/", short.urls), path("long/", long.urls)]
