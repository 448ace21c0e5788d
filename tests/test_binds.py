"""A store whose customers live on a bind: nothing of ours is asked of the default database."""

from __future__ import annotations

import os
import subprocess
import sys

from .support.bound_store import BoundStore

FILES = ("tests/test_reconciling.py", "tests/test_report_data.py", "tests/test_report_pages.py")
CHOSEN = "sqlite and not second and not without_purchases and not demo"  # of this store alone


def test_reports_and_reconcile_read_where_the_customers_live() -> None:
    """Other tests run once more, in a process of their own: one has one bind."""
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-k",
            CHOSEN,
            *FILES,
        ],
        env=os.environ | {"STORE": BoundStore.name},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout
