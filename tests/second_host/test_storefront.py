"""The storefront's tests once more, on this store."""

from __future__ import annotations

import pytest

from ..support.second_store import SecondStore
from ..support.stores import MakeStore, Store
from ..test_my_invitations import *  # noqa: F403  # pytest runs them here with this ``store``
from ..test_sending import *  # noqa: F403

# They speak of what only the sample store has: its addresses, its websites, a token on every
# page, or pages that write nothing. Their like for every store is in test_protection.
OF_THE_SAMPLE_STORE = (
    "test_a_message_where_none_is_allowed_is_ignored",
    "test_a_stranger_is_led_to_the_sign_in",
    "test_looking_at_the_form_changes_nothing",
    "test_switched_off_on_one_website_the_other_goes_on",
    "test_the_account_menu_marks_where_one_is",
    "test_the_invitations_of_others_do_not_exist",
    "test_the_limit_of_one_form_is_that_of_the_store_view",
    "test_the_number_of_queries_does_not_grow_with_the_rows",
    "test_what_is_closed_offers_nothing",
)
for name in OF_THE_SAMPLE_STORE:
    del globals()[name]


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    """The second store, in place of the sample store."""
    return make_store(SecondStore)
