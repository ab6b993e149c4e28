"""How many API calls may be made now: one bucket for all workers, which follows what the org says about its usage.

Keys, one hash tag so that a script touches one slot
    pipeline:{quota}:bucket     hash: debt (calls granted and not refilled yet), at_ms
    pipeline:{quota}:usage      hash: used, limit (of the org's last 24 hours, whoever used them)
    pipeline:{quota}:in_flight  hash: holder → until_ms:calls:object
    pipeline:{quota}:turns      hash: object → what it had of the calls, and whether it waits; see quota_take.lua
    pipeline:{quota}:asked      set while /limits has been asked lately
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final, Protocol

from redis import Redis
from redis.exceptions import RedisError

from pipeline.salesforce.errors import Refused

log = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
# Salesforce serves any number of short requests at once, but only 25 (5 in a Developer Edition) that take over 20
# seconds (App Limits); five in flight stay within both, and a batch of a thousand needs no more.
MOST_IN_FLIGHT: Final = 5
# A slot is left when the batch is settled; of a killed worker it is forgotten after this, longer than any request.
SLOT_S: Final = 180.0
# Small quotas still let a few batches (a lookup and a write each) go at once.
LEAST_BURST: Final = 10
# /limits costs a call and is accurate within 5 minutes, so asking more often is spending for nothing.
ASK_EVERY_S: Final = 180.0

# An object that was refused asks again within seconds, woken by the sweep; after this it is no longer waited for.
ASKS_AGAIN_S: Final = 10.0

_BUCKET, _USAGE, _IN_FLIGHT, _TURNS, _ASKED = (
    f"pipeline:{{quota}}:{name}" for name in ("bucket", "usage", "in_flight", "turns", "asked")
)


class Org(Protocol):
    """What the gate needs of an org: its daily quota, for the price of a call."""

    def limits(self) -> tuple[int, int]:
        """Return (used, limit)."""
        ...


@dataclass(frozen=True, slots=True)
class Granted:
    """The calls may be made."""

    calls: int


@dataclass(frozen=True, slots=True)
class Wait:
    """No calls now; asking again makes sense in `seconds`. `reason` is for the operator."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class QuotaStatus:
    """What an operator wants to know; figures of the org are None until it has told them.

    `budget_left` are the calls that may still be made before the org's usage reaches the share, `free_now` those in
    the bucket, `in_flight` the holders, `closed` why nothing would be granted now ("" when something would).
    """

    limit: int | None
    used: int | None
    budget_left: int | None
    free_now: int
    in_flight: int
    closed: str


class QuotaGate:
    """A token bucket, a ceiling and slots for what is in flight; every rule is in quota_take.lua.

    `share` (0 to 1) of the org's daily limit is where its usage must stay, whoever uses it; the pipeline itself spends
    at most share * limit - `reserve` calls in any `day_s` seconds, of which ten minutes' worth may come at once.
    Objects that wait for calls share them by `weights`, 1 where none is named; those with urgent records go first.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        share: float,
        reserve: int,
        day_s: float = DAY_S,
        most_in_flight: int = MOST_IN_FLIGHT,
        slot_s: float = SLOT_S,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        self._redis = redis
        self._share = share
        self._reserve = reserve
        self._weights = weights or {}
        self._arguments: list[str | int] = [
            repr(share),
            repr(float(reserve)),
            round(day_s * 1000),
            most_in_flight,
            round(slot_s * 1000),
            LEAST_BURST,
            round(ASKS_AGAIN_S * 1000),
        ]
        self._take = redis.register_script(_script("quota_take"))
        self._give_back = redis.register_script(_script("quota_give_back"))

    def take(self, calls: int, holder: str, object_name: str = "", *, is_urgent: bool = False) -> Granted | Wait:
        """Take `calls` (1 to 10) for `holder`, who is in flight until `leave` or `give_back`.

        For an object it is granted in turn with others that wait; a command of the operator, for none, goes at once.
        """
        if not 1 <= calls <= LEAST_BURST:
            raise ValueError(f"1 to {LEAST_BURST} calls can be taken at once, not {calls}")
        verdict = self._ask(calls, holder, object_name, is_urgent=is_urgent)
        if verdict.name == "granted":
            return Granted(calls)
        reason = self._words(verdict)
        if verdict.name == "no_budget":
            log.error("%s", reason)
        return Wait(verdict.wait_s, reason)

    def spend_one(self, object_name: str = "") -> bool:
        """Take one more call for a batch of an object that is in flight already; False where there is none now."""
        return self._ask(1, "", object_name).name == "granted"

    def give_back(self, calls: int, holder: str) -> None:
        """Put back what was taken for a claim that came up empty, and leave."""
        self._give_back(keys=[_BUCKET, _IN_FLIGHT, _TURNS], args=[calls, holder])

    def leave(self, holder: str) -> None:
        """End being in flight: the calls have been made."""
        self._redis.hdel(_IN_FLIGHT, holder)

    def observe(self, used: int, limit: int) -> None:
        """Take note of what the org said about its last 24 hours. Never raises: the answer it came with goes first."""
        try:
            self._redis.hset(_USAGE, mapping={"used": used, "limit": limit})
        except RedisError as error:
            log.warning("the org's usage could not be noted: %s", type(error).__name__)

    def sync(self, org: Org) -> None:
        """Ask the org for its usage, where only that can open the gate again: when usage closed it or is not known.

        Costs one API call, at most every few minutes whoever asks. Raises what `limits` raises, but for a quota that
        is used up altogether, which is no news.
        """
        if self._ask(0, "").name not in {"at_share", "unknown", "no_budget"}:
            return
        if not self._redis.set(_ASKED, 1, nx=True, px=round(ASK_EVERY_S * 1000)):
            return
        self._redis.hincrbyfloat(_BUCKET, "debt", 1.0)
        try:
            used, limit = org.limits()
        except Refused as refused:
            if "REQUEST_LIMIT_EXCEEDED" not in refused.codes:
                raise
        else:
            self.observe(used, limit)

    def status(self) -> QuotaStatus:
        """Return the figures as they are now; changes nothing."""
        verdict = self._ask(0, "")
        if verdict.limit is None or verdict.used is None:
            return QuotaStatus(None, None, None, verdict.free, verdict.in_flight, self._words(verdict))
        left = max(0, int(self._share * verdict.limit) - verdict.used)
        return QuotaStatus(verdict.limit, verdict.used, left, verdict.free, verdict.in_flight, self._words(verdict))

    def _ask(self, calls: int, holder: str, object_name: str = "", *, is_urgent: bool = False) -> "_Verdict":
        turn = (object_name, repr(float(self._weights.get(object_name, 1))), int(is_urgent))
        name, wait_ms, free, in_flight, used, limit = self._take(
            keys=[_BUCKET, _USAGE, _IN_FLIGHT, _TURNS], args=[calls, holder, *self._arguments, *turn]
        )
        told = limit >= 0
        return _Verdict(
            name.decode() if isinstance(name, bytes) else name,
            wait_ms / 1000,
            free,
            in_flight,
            used if told else None,
            limit if told else None,
        )

    def _words(self, verdict: "_Verdict") -> str:
        share, of_org = f"{self._share:.0%}", f"the org's {verdict.limit} calls a day"
        return {
            "granted": "",
            "no_budget": f"the quota leaves nothing to spend: {share} of {of_org}, less the reserve of "
            f"{self._reserve}, is no budget; raise quota.share or lower quota.reserve in destination.yaml",
            "at_share": f"{verdict.used} of {of_org} are used, the pipeline's ceiling is {share} of them, whoever used "
            "them; it goes on when the usage falls",
            "in_flight": "enough requests are in flight",
            "refilling": "the bucket of API calls refills",
            "turn": "API calls are scarce, and it is another object's turn",
            "unknown": "the org has not told its quota yet",
        }[verdict.name]


def ask_again(redis: Redis) -> None:
    """Let the next `QuotaGate.sync` ask the org, though it was asked a short while ago: a person wants to know."""
    redis.delete(_ASKED)


def usage(redis: Redis) -> tuple[int, int] | None:
    """Return what the org last said about its last 24 hours, (used, limit), or None before it has."""
    used, limit = redis.hmget(_USAGE, ["used", "limit"])
    return None if used is None or limit is None else (int(used), int(limit))


@dataclass(frozen=True, slots=True)
class _Verdict:
    name: str
    wait_s: float
    free: int
    in_flight: int
    used: int | None
    limit: int | None


def _script(name: str) -> str:
    return resources.files(__package__).joinpath(f"{name}.lua").read_text()
