"""What a claim hands out and how it is settled: plain values between the inbox and whoever delivers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.operation import Operation


@dataclass(frozen=True, slots=True)
class Claim:
    """One record key, held by this worker, with the operations that waited there, in the order of arrival."""

    key: str
    operations: tuple[Operation, ...]
    attempts: int = 0  # failed ones so far
    record_id: str | None = None  # as cached by an earlier commit; may be stale
    clock: Mapping[str, int] = field(default_factory=dict)  # field → newest event time applied, Unix milliseconds
    positions: tuple[int, ...] = ()  # where each operation stands in the inbox
    unreadable: tuple[int, ...] = ()  # positions of entries that are no operation of a known format
    arrived_ms: int = 0  # Unix time at which the oldest of the operations arrived
    entries: tuple[bytes, ...] = field(default=(), repr=False)  # as they stand in the inbox, by position

    @property
    def taken(self) -> int:
        """How many entries of the inbox the claim covers."""
        return len(self.positions) + len(self.unreadable)


@dataclass(frozen=True, slots=True)
class Batch:
    """Claims that one worker holds under one token, those first that are due longest.

    `wake_another` says that a full batch is left for a second worker; `due_behind` counts the due keys that are left.
    """

    token: str
    claims: tuple[Claim, ...]
    wake_another: str | None = None  # the token to wake it with
    due_behind: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """Keys are due, but the batch does not leave yet."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Empty:
    """No key is due."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one claim ends. Operations that are neither kept nor buried were applied and leave the inbox."""

    claim: Claim
    keep: tuple[int, ...] = ()  # positions that stay
    bury: Mapping[int, str] = field(default_factory=dict)  # position → reason
    clock: Mapping[str, int] | None = None  # the new clock; None leaves the stored one
    record_id: str | None = None  # to cache; None forgets it
    delay_ms: int = 0  # until the kept ones are due again
    keeps_place: bool = False  # the kept ones are due at once, before all that came later
    counts_attempt: bool = False
    why_kept: str = "-"  # a word for why the kept ones were put off
    sent_in: Mapping[int, str] = field(default_factory=dict)  # position → the call that wrote it, or tried to
    written_id: str | None = None  # the record that was written, if any


@dataclass(frozen=True, slots=True)
class Written:
    """How a claim ends whose operations were all applied, said without them."""

    key: str = field(repr=False)
    taken: int  # operations
    record_id: str  # that they were written to
    call: str
    clock: str = ""  # the new clock as text; "" leaves the stored one
    ids: tuple[str, ...] = ()  # of the operations, where they are traced


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of operations handed to `append`; `wake` is the token of a wake-up that has to be sent."""

    appended: int
    repeated: int
    wake: str | None


@dataclass(frozen=True, slots=True)
class Swept:
    """How many keys came back from expired claims; `wake` is the token of a wake-up that has to be sent."""

    returned: int
    wake: str | None
