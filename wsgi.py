"""The store for WSGI servers and the ``flask`` command: ``FLASK_APP=wsgi``."""

from __future__ import annotations

from sample_store import create_app

app = create_app()
