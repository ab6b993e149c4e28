"""What the org holds after a chaos run, held against what it must hold."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.chaos.story import KEY_FIELD, Key, Step, expect, history, poisoned


@dataclass(slots=True)
class Verdict:
    """How many records or fields are not as they must be; all 0 when the promises were kept."""

    lost: int = 0  # records that are not there, fields without a value, and events buried without a cause
    duplicated: int = 0  # records of which there is one already
    stale: int = 0  # fields that hold a value which a newer event has replaced
    wrong: int = 0  # records that should not be there, and fields with a value that no event gave

    @property
    def is_clean(self) -> bool:
        """Whether everything is as it must be."""
        return not any(asdict(self).values())


def judge(steps: Sequence[Step], org: Mapping[str, Iterable[Mapping[str, Any]]], buried: Collection[str]) -> Verdict:
    """Compare records by object with the model's; `buried` holds the message ids of the dead letters."""
    verdict = Verdict(lost=len(set(buried) - poisoned(steps)) + len(buried) - len(set(buried)))
    expected, given = expect(steps), history(steps)
    found: dict[Key, list[Mapping[str, Any]]] = {}
    for name, records in org.items():
        for record in records:
            key = (name, str(record.get(KEY_FIELD[name])).strip().lower())
            found.setdefault(key, []).append(record)
    verdict.lost += len(expected.keys() - found.keys())
    for key, records in found.items():
        verdict.duplicated += len(records) - 1
        if key not in expected:
            verdict.wrong += 1
            continue
        for name, value in expected[key].items():
            actual = records[0].get(name)
            if actual is None:
                verdict.lost += 1
            elif actual != value:
                is_older = actual in given.get((key, name), ())
                verdict.stale += is_older
                verdict.wrong += not is_older
    return verdict
