"""What invitations bring: figures for periods of days. Nothing here knows a page.

:func:`read_period` turns what somebody typed into a :class:`Period`; the reports take one:
:func:`invitations`, :func:`conversions` with :func:`behaviour`, and :func:`customers`.
:func:`tree` is about one customer.
"""

from __future__ import annotations

from .behaving import Behaviour, behaviour
from .checking import check_figures
from .conversions import Conversions, Money, conversions
from .customers import SORTS, CustomersPage, Inviter, customers
from .figures import Counts, Line, Report, invitations
from .names import forget_name
from .periods import (
    MOST_INTERVALS,
    PRESETS,
    UNITS,
    Asked,
    Interval,
    Period,
    preset,
    reachable,
    read_period,
)
from .purchases import has_purchases
from .times import Spread
from .trees import Node, tree

__all__ = [
    "MOST_INTERVALS",
    "PRESETS",
    "SORTS",
    "UNITS",
    "Asked",
    "Behaviour",
    "Conversions",
    "Counts",
    "CustomersPage",
    "Interval",
    "Inviter",
    "Line",
    "Money",
    "Node",
    "Period",
    "Report",
    "Spread",
    "behaviour",
    "check_figures",
    "conversions",
    "customers",
    "forget_name",
    "has_purchases",
    "invitations",
    "preset",
    "reachable",
    "read_period",
    "tree",
]
