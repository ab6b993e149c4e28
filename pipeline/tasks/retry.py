"""Retry: dead letters on their way again, operations as they are and rejected events from the beginning."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.inbox.dead_letters import DeadLetter
    from pipeline.tasks.runtime import Runtime


@dataclass(slots=True)
class Retried:
    """What became of dead letters: on their way again, still refused, or gone before they could be retried.

    `unfit` of the refused ones hold no event that could be retried, but the text of what was none.
    """

    moved: int = 0
    refused: int = 0
    gone: int = 0
    unfit: int = 0


def retry_all(letters: "Iterable[DeadLetter]", runtime: "Runtime") -> Retried:
    """Put on their way again the letters there are now: one that is refused anew meanwhile is not retried again."""
    from pipeline.inbox.chosen_letters import chunks

    now_ms = runtime.clock.asked_ms()
    done = Retried()
    for chunk in chunks(letter for letter in letters if letter.time_ms <= now_ms):
        part = retry_letters(chunk, runtime)
        done = Retried(
            done.moved + part.moved, done.refused + part.refused, done.gone + part.gone, done.unfit + part.unfit
        )
    return done


def retry_letters(letters: "Sequence[DeadLetter]", runtime: "Runtime") -> Retried:
    """Put dead letters on their way again; killed at any point and called again, it neither loses nor repeats one."""
    from pipeline.inbox.dead_letters import EVENTS

    done = Retried()
    of_object: dict[str, list[DeadLetter]] = defaultdict(list)
    for letter in letters:
        if letter.object == EVENTS:
            _retry_event(letter, runtime, done)
        else:
            of_object[letter.object].append(letter)
    for name, its_own in of_object.items():
        _retry_operations(name, its_own, runtime, done)
    return done


def _retry_event(letter: "DeadLetter", runtime: "Runtime", done: Retried) -> None:
    """Check and map a rejected event anew: the mapping may have been mended, or the pipeline itself."""
    from pipeline.inbox.dead_letters import readmit
    from pipeline.tasks.ingest import append, plan

    if not letter.is_retriable:
        done.refused += 1
        done.unfit += 1
        return
    # It arrived when it was refused: what it says of later than that it does not know.
    receipt, operations = plan(letter.event, letter.time_ms, runtime)
    if receipt.outcome == "rejected":
        done.refused += 1
        return
    append(operations, runtime)
    if readmit(runtime.redis, letter, receipt, is_traced=runtime.settings.destination.trace):
        done.moved += 1
    else:
        done.gone += 1


def _retry_operations(name: str, letters: "Sequence[DeadLetter]", runtime: "Runtime", done: Retried) -> None:
    from pipeline.inbox.dead_letters import retry
    from pipeline.tasks.ingest import wake

    readable = [letter for letter in letters if letter.key is not None]
    done.refused += len(letters) - len(readable)
    done.unfit += len(letters) - len(readable)
    moved, token = retry(runtime.redis, name, readable, is_traced=runtime.settings.destination.trace)
    done.moved += moved
    done.gone += len(readable) - moved
    if token:
        wake(name, token)
