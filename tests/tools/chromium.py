"""Fetch Chromium for the browser tests, where the machine has none and lets us."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

# Chromium without a window: the same pages at half the work, for there is no frame to draw.
SHELL = "chromium-headless-shell"
NAMES = (SHELL, "chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """Return the browser to drive, the quickest first, None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def main() -> int:
    """Install Debian's Chromium; say plainly when that cannot be done, and fail on CI.

    CI gets the quick one beside a Chromium that it has; nobody's own machine does.
    """
    is_ci = os.environ.get("CI") == "true"
    if not shutil.which(SHELL) and (is_ci or not find()):
        _install()
    if find():
        return 0
    sys.stdout.write("No Chromium here: the browser tests will not run.\n")
    return 1 if is_ci else 0


def _install() -> None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return
    sys.stdout.write("Installing Chromium ...\n")
    if not _apt_get("update"):
        return
    install = ("install", "-y", "--no-install-recommends")
    if not _apt_get(*install, SHELL) and not find():  # an older Debian has only the whole
        _apt_get(*install, "chromium")


def _apt_get(*arguments: str) -> bool:
    command = ["apt-get", "-qq", "-o", "Acquire::http::Timeout=20", *arguments]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
