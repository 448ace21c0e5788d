"""E-mail addresses as the store compares them."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

MAX_ADDRESS = 254


def fold(typed: str) -> str:
    """Return what two spellings of one address share, "" when it is no address."""
    try:
        checked = validate_email(
            typed.strip()[: MAX_ADDRESS + 1], check_deliverability=False, allow_smtputf8=False
        )
    except EmailNotValidError:
        return ""
    return (checked.ascii_email or "").lower()
