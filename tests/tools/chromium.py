"""Fetch Chromium for the browser tests, where the machine has none and lets us."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """Return the browser to drive, None without one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def main() -> int:
    """Install Debian's Chromium; say plainly when that cannot be done, and fail on CI."""
    if find() or _install():
        return 0
    sys.stdout.write("No Chromium here: the browser tests will not run.\n")
    return 1 if os.environ.get("CI") == "true" else 0


def _install() -> bool:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    sys.stdout.write("Installing Chromium ...\n")
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
    ):
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            return False
    return find() is not None


if __name__ == "__main__":
    sys.exit(main())
