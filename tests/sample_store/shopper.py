"""A visitor for the tests of the store."""

from __future__ import annotations

import re

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sample_store import demo


class Shopper:
    """A browser that sends the token of the page before with every form."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str) -> TestResponse:
        """Open a page."""
        return self.client.get(path)

    def post(self, path: str, page: str | None = None, **fields: str) -> TestResponse:
        """Send the form that ``page``, or else ``path``, shows."""
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(page or path).text)
        assert token, f"no form on {page or path}"
        return self.client.post(path, data={"csrf_token": token[1], **fields})

    def sign_in(
        self, email: str, password: str = demo.PASSWORD, path: str = "/login"
    ) -> TestResponse:
        """Sign in with the demo's password."""
        return self.post(path, email=email, password=password)
