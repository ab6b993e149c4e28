"""composite/graph: several lists of subrequests, each of which is saved as a whole or not (REST API guide: Graph).

A graph takes 500 subrequests, and a request 75 graphs with as many subrequests in all. A subrequest may wait for one
that waits for another, fifteen deep. Only records can be written and read in it. A request is one API call.
"""

from __future__ import annotations

import re
from typing import Any

from pipeline.emulator import errors
from pipeline.emulator.errors import Json
from pipeline.emulator.http import Call, Reply
from pipeline.emulator.rest_composite import Composites, references_in
from pipeline.emulator.router import Router

MOST_GRAPHS, MOST_NODES, MOST_DEPTH = 75, 500, 15
# Graphs are there from this version on.
_FIRST_VERSION = 50.0
_GRAPH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,39}", re.ASCII)
_METHODS = frozenset({"GET", "POST", "PATCH", "DELETE"})


class Graphs:
    """Answers for composite graphs."""

    def __init__(self, composites: Composites, router: Router) -> None:
        self._composites = composites
        router.add("POST", "composite/graph", "graph", self.graph)

    def graph(self, call: Call) -> Reply:
        """Run graphs one after the other; one that fails leaves the others alone."""
        if call.number < _FIRST_VERSION:
            raise errors.not_found()
        body = call.json()
        graphs = body.get("graphs") if isinstance(body, dict) else None
        if not isinstance(graphs, list) or not graphs or not all(isinstance(one, dict) for one in graphs):
            raise errors.json_invalid("The request needs a list called graphs")
        errors.only_keys(body, {"graphs"})
        if len(graphs) > MOST_GRAPHS:
            message = f"The number of graphs may not exceed {MOST_GRAPHS}"
            raise errors.refuse(400, "LIMIT_EXCEEDED", message)
        prepared = [self._prepare(call, one) for one in graphs]
        names = [one["graphId"] for one in graphs]
        if len(set(names)) < len(names):
            raise errors.refuse(400, "INVALID_INPUT", "Every graph needs a graphId of its own")
        if sum(len(requests) for requests, _ in prepared) > MOST_NODES:
            message = f"The number of subrequests of all graphs may not exceed {MOST_NODES}"
            raise errors.refuse(400, "LIMIT_EXCEEDED", message)
        shown = []
        for name, (requests, calls) in zip(names, prepared, strict=True):
            replies, failed = self._composites.work_off(requests, calls, all_or_none=True)
            response = {"compositeResponse": self._composites.shown(requests, replies)}
            shown.append({"graphId": name, "graphResponse": response, "isSuccessful": not failed})
        return Reply(200, {"graphs": shown})

    def _prepare(self, call: Call, graph: Json) -> tuple[list[Json], list[Call]]:
        """Check a graph, and return its subrequests with the calls that they make."""
        errors.only_keys(graph, {"graphId", "compositeRequest"})
        name, requests = graph.get("graphId"), graph.get("compositeRequest")
        if not isinstance(name, str) or not _GRAPH_ID.fullmatch(name):
            raise errors.refuse(400, "INVALID_INPUT", f"Provided graphId ('{name}') must be letters and numbers")
        if not isinstance(requests, list) or not requests or not all(isinstance(one, dict) for one in requests):
            raise errors.json_invalid(f"The graph {name} needs a list called compositeRequest")
        if len(requests) > MOST_NODES:
            raise errors.refuse(400, "LIMIT_EXCEEDED", f"A graph may have at most {MOST_NODES} subrequests")
        calls = self._composites.calls_of(call, requests)
        for one in calls:
            if one.path[:1] != ("sobjects",) or one.method not in _METHODS:
                message = f"The resource cannot be called in a composite graph: {one.method} /{'/'.join(one.path)}"
                raise errors.refuse(400, "INVALID_INPUT", message)
        if _depth(requests) > MOST_DEPTH:
            raise errors.refuse(400, "LIMIT_EXCEEDED", f"A graph may be at most {MOST_DEPTH} subrequests deep")
        return requests, calls


def _depth(requests: list[Json]) -> int:
    """Return how many subrequests of a graph wait for each other in a row."""
    depths: dict[str, int] = {}
    for one in requests:
        above: list[Any] = [depths.get(name, 0) for name in references_in([one.get("url"), one.get("body")])]
        depths[str(one["referenceId"])] = 1 + max(above, default=0)
    return max(depths.values())
