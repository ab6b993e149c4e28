"""Keeper: starts a service again that has ended by itself, after a pause that grows while it keeps ending."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.local.service import Service

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_STEADY_AFTER_S: Final = 60.0  # of running, after which the next end counts as the first


def pause_s(endings: int) -> float:
    """Return how long to wait before a service is started again that has ended so many times in a row."""
    return min(_FIRST_PAUSE_S * 2.0 ** (endings - 1), _LONGEST_PAUSE_S)


@dataclass(slots=True)
class _State:
    started: float
    endings: int = 0  # in a row
    due: float | None = None  # when to start it again; None: it was started
    is_coming: bool = False  # started again, and not ready yet


class Keeper:
    """Looks after services that are running when it is made. `tell(name, words)` hears what happens to them."""

    def __init__(self, services: Iterable[Service], tell: Callable[[str, str], None], *, now: float) -> None:
        self._states = {service: _State(now) for service in services}
        self._tell = tell

    def look(self, now: float) -> None:
        """Look at every service once. `now` is any clock that only goes forward, in seconds."""
        for service, state in self._states.items():
            if state.due is not None:
                if now >= state.due:
                    service.start()
                    state.started, state.due, state.is_coming = now, None, True
            elif not service.is_running:
                self._has_ended(service, state, now)
            elif state.is_coming and service.is_ready:
                state.is_coming = False
                self._tell(service.name, "is ready again")

    def _has_ended(self, service: Service, state: _State, now: float) -> None:
        if now - state.started > _STEADY_AFTER_S:
            state.endings = 0
        state.endings += 1
        wait_s = pause_s(state.endings)
        state.due, state.is_coming = now + wait_s, False
        how = service.ending
        service.kill()  # what is left of its group, such as a pool whose worker was killed
        self._tell(service.name, f"ended by itself ({how}); starts again in {wait_s:g} s")
