"""Invitations as months of a shop's life would have left them, made up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Any

from invitations_plugin import PastEvent, PastInvitation

from .goods import GOODS
from .people import People

LANGUAGES = {"en": "main", "fr": "main", "it": "private"}  # store view and its website
GROUPS = {"general": 80, "vip": 10, "wholesale": 6, "retailer": 4}
DAYS = 180
LINK_LIFE = timedelta(days=30)
BY_STAFF = 0.05
KEENNESS = 8  # how many times the average the keenest customer invites
WITH_MESSAGE = 1 / 3
SHARED_FRIENDS = 0.03  # whom a second customer invites as well
RESENT = 0.06
BUYERS = 0.4  # of the friends who accepted
ORDERS = (1, 1, 1, 2, 2, 3)  # that one of them makes
WAIT = timedelta(days=9)  # on average, until the first and between two
PRODUCTS = tuple(GOODS)
# What became of an invitation in the end, and after how many days on average; the rest expired.
ENDS = (
    ("fail", 0.025, 0.0),
    ("skip", 0.01, 0.0),
    ("accept", 0.26, 4.0),
    ("cancel", 0.04, 3.0),
    ("discard", 0.03, 6.0),
    ("decline", 0.03, 2.0),
)
# How many are written in each hour of a day, by UTC.
HOURS = (2, 1, 1, 1, 1, 2, 4, 8, 11, 12, 12, 13, 15, 14, 12, 11, 11, 13, 16, 19, 20, 17, 11, 6)
DAY = [share / sum(HOURS) for share in accumulate(HOURS, initial=0)]
ERRORS = (
    "550 5.1.1 The mailbox does not exist.",
    "550 5.1.10 Recipient not found.",
    "552 5.2.2 The mailbox is full.",
    "554 5.7.1 Message refused by policy.",
)
MESSAGES = {
    "en": (
        "The autumn sale is on. Have a look at the lamps!",
        "I thought of you when I saw the stoneware.",
        "You asked where my teapot is from: here.",
        "They open the private sale on Friday. See you there?",
    ),
    "fr": (
        "Regarde les lampes, elles te plairont.",
        "C'est ici que j'ai trouvé ma théière.",
        "Les ventes privées ouvrent vendredi. Tu viens ?",
    ),
    "it": (
        "Guarda le lampade, ti piaceranno.",
        "Ecco dove ho trovato la mia teiera.",
        "Venerdì aprono le vendite private. Ci sei?",
    ),
}


Actor = tuple[str, str, str]  # kind, key and name, as a history has them
FRIEND: Actor = ("invitee", "", "")
SYSTEM: Actor = ("system", "", "")


@dataclass(frozen=True, slots=True)
class Account:
    """A customer of the store, once it has a key."""

    email: str
    name: str
    website: str
    group: str
    view: str
    key: str = ""


def accounts(number: int, state: int) -> Iterator[Account]:
    """Yield customers, counted down from the last of the people: friends are the first."""
    random = Random(f"customers {state}")
    people = {view: People(view, state) for view in LANGUAGES}
    for place in range(number):
        view = random.choices(list(LANGUAGES), (45, 30, 25))[0]
        person = people[view][-1 - place]
        yield Account(person.email, person.name, LANGUAGES[view], _group(random), view)


def _group(random: Random) -> str:
    return random.choices(list(GROUPS), list(GROUPS.values()))[0]


class Past:
    """All that happened up to a moment, the oldest invitation first."""

    def __init__(
        self, inviters: Sequence[Account], staff: Sequence[Actor], now: datetime, state: int
    ) -> None:
        self._inviters, self._staff, self._now = inviters, staff, now
        self._random = Random(f"invitations {state}")
        self._people = {view: People(view, state) for view in LANGUAGES}
        self._shared: tuple[Account, str, str] | None = None

    def invitations(self, number: int) -> Iterator[tuple[PastInvitation, Account | None]]:
        """Yield invitations, each with the account that a friend made, not yet in the store."""
        for place in range(number):
            created_at = self._moment((place + self._random.random()) / number)
            if self._random.random() < BY_STAFF:
                yield self._by_staff(place, created_at)
            else:
                yield self._by_customer(place, created_at)

    def orders(
        self, friends: Iterable[tuple[Account, datetime]]
    ) -> Iterator[tuple[Account, str, datetime]]:
        """Yield what some friends bought since they registered, and when: the same each time."""
        for friend, since in friends:
            random = Random(f"orders {friend.email} {since}")
            if random.random() >= BUYERS:
                continue
            at = since
            for _ in range(random.choice(ORDERS)):
                at += timedelta(seconds=int(random.expovariate(1 / WAIT.total_seconds())))
                if at <= self._now:
                    yield friend, random.choice(PRODUCTS), at

    def _moment(self, share: float) -> datetime:
        """Return when so much of all was written: more from month to month, few at night."""
        midnight = self._now.replace(hour=0, minute=0, second=0, microsecond=0)
        today = _interpolate((self._now - midnight) / timedelta(hours=1), range(25), DAY)
        day, rest = divmod((DAYS + today) * share**0.75, 1)
        hours = _interpolate(rest, DAY, range(25))
        at = midnight - timedelta(days=DAYS - day) + timedelta(hours=hours)
        return min(at.replace(microsecond=0), self._now)

    def _by_staff(self, place: int, created_at: datetime) -> tuple[PastInvitation, Account | None]:
        random = self._random
        who, view = random.choice(self._staff), random.choice(list(LANGUAGES))
        friend = self._people[view][place]
        invited = Account(friend.email, friend.name, LANGUAGES[view], _group(random), view)
        return self._tell(_Life(created_at, self._now, who), invited, None)

    def _by_customer(
        self, place: int, created_at: datetime
    ) -> tuple[PastInvitation, Account | None]:
        """Of fifty invitations a customer on average, the keenest write some hundred, many none."""
        random = self._random
        inviter = self._inviters[int(len(self._inviters) * (random.expovariate(KEENNESS) % 1))]
        friend = self._people[inviter.view][place]
        email, may_accept = friend.email, True
        if self._shared is not None and random.random() < SHARED_FRIENDS:
            first, shared, website = self._shared
            if first != inviter and website == inviter.website:
                email, may_accept, self._shared = shared, False, None
        if may_accept:
            self._shared = (inviter, email, inviter.website)
        invited = Account(email, friend.name, inviter.website, inviter.group, inviter.view)
        life = _Life(created_at, self._now, ("sender", inviter.key, inviter.name))
        return self._tell(life, invited, inviter, may_accept=may_accept)

    def _tell(
        self, life: _Life, invited: Account, inviter: Account | None, *, may_accept: bool = True
    ) -> tuple[PastInvitation, Account | None]:
        random = self._random
        life.pass_on(random, random.choice(self._staff), may_accept)
        row: PastInvitation = {
            "website": invited.website,
            "store_view": invited.view,
            "email": invited.email,
            "group_code": invited.group,
            "status": life.status,
            "history": life.events,
            **life.columns,  # type: ignore[typeddict-item]
        }
        if inviter is not None:
            row["inviter_key"], row["inviter_email"] = inviter.key, inviter.email
            row["inviter_name"] = inviter.name
        if random.random() < WITH_MESSAGE:
            row["message"] = random.choice(MESSAGES[invited.view])
        return row, invited if life.status == "accepted" else None


def _interpolate(value: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    place = min(bisect_right(xs, value), len(xs) - 1)
    x, y = xs[place - 1], ys[place - 1]
    return y + (value - x) * (ys[place] - y) / (xs[place] - x)


class _Life:
    """What happens to one invitation, until now."""

    def __init__(self, created_at: datetime, now: datetime, maker: Actor) -> None:
        self.now, self.maker = now, maker
        self.status = "not_sent"
        self.events: list[PastEvent] = []
        self.columns: dict[str, Any] = {
            "created_at": created_at,
            "expires_at": created_at + LINK_LIFE,
            "mail_state": "delivered",
        }
        self._note(created_at, "create", maker, None, "not_sent")

    def pass_on(self, random: Random, colleague: Actor, may_accept: bool) -> None:
        """Let everything happen, as chance wants it."""
        created_at = self.columns["created_at"]
        end, days = _end(random)
        left_at = min(created_at + timedelta(seconds=random.randrange(2, 90)), self.now)
        if end == "fail":
            self._fail(left_at, random.choice(ERRORS))
        elif end == "skip":
            self._discard(created_at, self.maker)
            self.columns |= {"mail_state": "skipped", "mail_error": "discarded", "mail_tries": 0}
        else:
            self._send(left_at)
            at = left_at + timedelta(seconds=int(random.expovariate(1 / (days * 86400))))
            if at < min(self.now, self.columns["expires_at"]):
                self._close(at, end, colleague, may_accept)
            if self.status == "sent" and random.random() < RESENT:
                self._resend(left_at + timedelta(days=random.randrange(3, 25)))
        self._expire()

    def _close(self, at: datetime, end: str, staff: Actor, may_accept: bool) -> None:
        if end == "accept" and may_accept:
            self._move(at, "accept", FRIEND, "accepted")
            self.columns["registered_at"] = at
        elif end == "decline":
            self._move(at, "decline", FRIEND, "declined")
        elif end in ("cancel", "discard"):
            self._discard(at, self.maker if end == "cancel" else staff)

    def _discard(self, at: datetime, actor: Actor) -> None:
        self._move(at, "cancel" if actor[0] == "sender" else "discard", actor, "discarded")
        self.columns["discarded_by"] = actor[0]

    def _send(self, at: datetime) -> None:
        self._move(at, "send", SYSTEM, "sent")
        self.columns.setdefault("sent_at", at)
        self.columns["last_sent_at"] = at

    def _fail(self, at: datetime, error: str) -> None:
        self._note(at, "fail", SYSTEM, None, None, error)
        self.columns |= {"mail_state": "failed", "mail_error": error}

    def _resend(self, at: datetime) -> None:
        if at < self.now - timedelta(minutes=1):
            self._move(at, "resend", self.maker, "not_sent")
            self.columns["expires_at"] = at + LINK_LIFE
            self._send(at + timedelta(seconds=30))

    def _expire(self) -> None:
        ends = self.columns["expires_at"]
        if self.status in ("not_sent", "sent") and ends <= self.now:
            self._move(ends, "expire", SYSTEM, "expired")

    def _move(self, at: datetime, action: str, actor: Actor, target: str) -> None:
        self._note(at, action, actor, self.status, target)
        self.status = target

    def _note(
        self,
        at: datetime,
        action: str,
        actor: Actor,
        source: str | None,
        target: str | None,
        reason: str | None = None,
    ) -> None:
        kind, key, name = actor
        self.events.append(
            {
                "at": at,
                "actor_kind": kind,
                "actor_key": key,
                "actor_name": name,
                "action": action,
                "from_status": source,
                "to_status": target,
                "reason": reason,
            }
        )


def _end(random: Random) -> tuple[str, float]:
    """Draw an end and the days until it comes."""
    drawn = random.random()
    for name, share, days in ENDS:
        if drawn < share:
            return name, days
        drawn -= share
    return "", 1.0
