"""The store for WSGI servers, ``flask`` (``FLASK_APP=wsgi``) and ``celery -A wsgi:celery``."""

from __future__ import annotations

from sample_store import create_app

app = create_app()
celery = app.extensions.get("celery")
