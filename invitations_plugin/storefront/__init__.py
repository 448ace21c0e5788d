"""The customer's and the invited friend's pages."""

from __future__ import annotations

from .account import account
from .invitee import invitee

__all__ = ["account", "invitee"]
