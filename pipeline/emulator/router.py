"""Which function answers which REST resource."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.emulator import errors
from pipeline.emulator.http import Call, Reply

# Stands for the parameters of a handler that refuses those that it does not read by itself.
CHECKS_ITSELF = "*"
# Resources that an org has and this emulator has not (REST API guide: Reference).
_ELSEWHERE = frozenset(
    {"actions", "analytics", "apexrest", "appMenu", "async-queries", "chatter", "commerce", "compactLayouts", "connect"}
    | {"consent", "dedupe", "einstein", "event", "eventSchema", "folders", "graphql", "knowledgeManagement"}
    | {"licensing", "localizedvalue", "metadata", "payments", "prechatForms", "process", "quickActions", "scheduling"}
    | {"search", "smartdatadiscovery", "support", "tabs", "theme", "tooling", "ui-api", "wave"}
)
Handler = Callable[..., Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """One pattern such as ``sobjects/{object}/{id}`` and its handlers by method; ``resource`` names it in the stats."""

    segments: tuple[str, ...]
    resource: str
    handlers: dict[str, Handler]
    # The query parameters that each method reads.
    parameters: dict[str, frozenset[str]]


# A route, and the values of its placeholders.
Found = tuple[Route, list[str]]


class Router:
    """Finds handlers. Where patterns overlap, the one whose fixed words come first wins, whichever was added first."""

    def __init__(self) -> None:
        self._routes: dict[tuple[int, str], list[Route]] = {}

    def add(self, methods: str, pattern: str, resource: str, handler: Handler, parameters: str = "") -> None:
        """Let ``handler(call, *placeholders)`` answer a pattern.

        ``methods`` and the query ``parameters`` that the handler reads are separated by spaces; any other parameter is
        refused before the handler is asked.
        """
        segments = tuple(pattern.split("/"))
        read = dict.fromkeys(methods.split(), frozenset(parameters.split()))
        routes = self._routes.setdefault((len(segments), segments[0]), [])
        for route in routes:
            if route.segments == segments:
                route.handlers.update(dict.fromkeys(methods.split(), handler))
                route.parameters.update(read)
                return
        routes.append(Route(segments, resource, dict.fromkeys(methods.split(), handler), read))
        routes.sort(key=lambda route: [segment[0] == "{" for segment in route.segments])

    def find(self, path: tuple[str, ...]) -> Found | None:
        """Return the route of a path and the values of its placeholders."""
        if not path:
            return None
        for route in self._routes.get((len(path), path[0]), ()):
            values: list[str] = []
            for segment, given in zip(route.segments, path, strict=True):
                if segment[0] == "{":
                    values.append(given)
                elif segment != given:
                    break
            else:
                return route, values
        return None

    def answer(self, call: Call) -> Reply:
        """Answer a call; raise ApiError."""
        return self.answer_as_found(call, self.find(call.path))

    @staticmethod
    def answer_as_found(call: Call, found: Found | None) -> Reply:
        """Answer a call whose route was found already; raise ApiError."""
        if found is None:
            if call.path and call.path[0] in _ELSEWHERE:
                raise errors.not_covered(f"the resource /{'/'.join(call.path)}")
            raise errors.not_found()
        route, values = found
        method = call.query.get("_HttpMethod", call.method).upper() if call.method == "POST" else call.method
        handler = route.handlers.get(method) or (route.handlers.get("GET") if method == "HEAD" else None)
        if handler is None:
            allowed = [*(["HEAD"] if "GET" in route.handlers else []), *route.handlers]
            raise errors.method_not_allowed(method, allowed)
        if call.query:
            _check_parameters(call, route.parameters.get("GET" if method == "HEAD" else method, frozenset()))
        return handler(call, *values)


def _check_parameters(call: Call, read: frozenset[str]) -> None:
    """Refuse query parameters that nobody would read; ``_HttpMethod`` names the method of a POST."""
    unread = call.query.keys() - read - {"_HttpMethod"} if CHECKS_ITSELF not in read else set()
    if unread or ("_HttpMethod" in call.query and call.method != "POST"):
        name = min(unread, default="_HttpMethod")
        raise errors.not_covered(f"the query parameter {name} of /{'/'.join(call.path)}")
