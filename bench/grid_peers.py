"""The peers: Flask-Admin, and Django's admin with django-invitations, over the same table.

Both show the same columns, filter and sort by them and search the invited address.
Flask-Admin is given no login; Django's admin has none that could be left out.
"""

from __future__ import annotations

import secrets
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView
from flask_babel import Babel

from invitations_plugin.models import Invitation
from sample_store import database
from sample_store.config import DEFAULTS
from sample_store.database import db

COLUMNS = (
    "id",
    "inviter_email",
    "email",
    "sent_at",
    "registered_at",
    "status",
    "website",
    "group_code",
)
USER = "bench"


class _View(ModelView):  # type: ignore[misc]  # it may not be installed
    column_list = COLUMNS
    column_filters = ("status", "website", "group_code", "inviter_email", "sent_at")
    column_searchable_list = ("email",)
    column_sortable_list = COLUMNS
    column_default_sort = ("id", True)
    named_filter_urls = True
    page_size = 20
    can_set_page_size = True
    page_size_options = (20, 30, 50, 100, 200)


def flask_admin(url: str) -> Any:
    """Return Flask-Admin's app."""
    app = Flask("peer")
    app.config.update(
        SECRET_KEY=secrets.token_hex(),
        SQLALCHEMY_DATABASE_URI=url,
        SQLALCHEMY_ENGINE_OPTIONS=DEFAULTS["SQLALCHEMY_ENGINE_OPTIONS"],
    )
    database.init_app(app)
    Babel(app)  # where it is installed, Flask-Admin wants it
    Admin(app, name="Store").add_view(_View(Invitation, db.session, endpoint="grid"))
    return app


def django(url: str) -> tuple[Any, str]:
    """Return Django's app and the cookie of its superuser."""
    _configure(sa.make_url(url))
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.test import Client

    app = get_wsgi_application()
    _register()
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    user = users.filter(username=USER).first() or users.create_superuser(USER, "", "bench")
    client = Client()
    client.force_login(user)
    return app, f"sessionid={client.cookies['sessionid'].value}"


def _configure(url: sa.URL) -> None:
    from django.conf import settings

    is_sqlite = url.get_backend_name() == "sqlite"
    place = {
        "ENGINE": f"django.db.backends.{'sqlite3' if is_sqlite else 'postgresql'}",
        "NAME": url.database,
        "USER": url.username or "",
        "PASSWORD": url.password or "",
        "HOST": url.host or "",
        "PORT": str(url.port or ""),
        "CONN_MAX_AGE": None,  # a connection that stays, as ours do
    }
    apps = ("admin", "auth", "contenttypes", "sessions", "messages")
    middleware = (
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    )
    settings.configure(
        SECRET_KEY=secrets.token_hex(),
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": place},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=[f"django.contrib.{name}" for name in apps],
        MIDDLEWARE=middleware,
        ROOT_URLCONF="bench.grid_urls",
        STATIC_URL="/static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.contrib.auth.context_processors.auth",
                        "django.template.context_processors.request",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        USE_TZ=False,
    )


def _register() -> None:
    """Show django-invitations' model with its key and time in our columns, and ours beside."""
    from django.contrib import admin
    from django.db import models
    from invitations.base_invitation import AbstractBaseInvitation

    class Row(AbstractBaseInvitation):  # type: ignore[misc]
        key = models.CharField(max_length=32, unique=True, db_column="public_id")
        sent = models.DateTimeField(null=True, db_column="sent_at")
        accepted = inviter = None
        inviter_email = models.CharField(max_length=320, null=True)
        email = models.CharField(max_length=320, null=True)
        registered_at = models.DateTimeField(null=True)
        status = models.CharField(max_length=12, choices=[(s, s) for s in _statuses()])
        website = models.CharField(max_length=64)
        group_code = models.CharField(max_length=255)

        class Meta:
            app_label = "admin"
            managed = False
            db_table = Invitation.__tablename__

        def __str__(self) -> str:
            return str(self.email)

    class RowAdmin(admin.ModelAdmin):  # type: ignore[misc]
        list_display = tuple("sent" if name == "sent_at" else name for name in COLUMNS)
        list_filter = ("status", "sent")
        search_fields = ("email",)
        list_per_page = 20
        ordering = ("-id",)

    class LongAdmin(RowAdmin):
        list_per_page = 200

    long = admin.AdminSite("long")
    admin.site.register(Row, RowAdmin)
    long.register(Row, LongAdmin)
    from . import grid_urls

    grid_urls.urlpatterns = grid_urls.patterns(admin.site, long)


def _statuses() -> list[str]:
    return ["not_sent", "sent", "accepted", "discarded", "declined", "expired"]
