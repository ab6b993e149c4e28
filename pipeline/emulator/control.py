"""The control API under /_emulator: state, faults, limits and reset. It needs no session and is never counted."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.emulator import ids
from pipeline.emulator.auth import ConnectedApp
from pipeline.emulator.duplicates import DuplicateRule
from pipeline.emulator.faults import InvalidRule
from pipeline.emulator.merges import merge
from pipeline.emulator.org import Org

Endpoint = Callable[[Request], Awaitable[Response]]


class Control:
    """Answers of the control API."""

    def __init__(self, org: Org) -> None:
        self.org = org

    def routes(self) -> list[Route]:
        """Return the routes of the control API."""
        return [
            Route("/_emulator/stats", self.stats, methods=["GET"]),
            Route("/_emulator/records/{name}", self.records, methods=["GET"]),
            Route("/_emulator/faults", self.list_faults, methods=["GET"]),
            Route("/_emulator/faults", self.set_faults, methods=["POST"]),
            Route("/_emulator/limits", self.set_limits, methods=["POST"]),
            Route("/_emulator/sessions", self.set_sessions, methods=["POST"]),
            Route("/_emulator/duplicate_rules", self.set_duplicate_rules, methods=["POST"]),
            Route("/_emulator/maintenance", self.set_maintenance, methods=["POST"]),
            Route("/_emulator/merge", self.merge, methods=["POST"]),
            Route("/_emulator/jwt_key", self.jwt_key, methods=["GET"]),
            Route("/_emulator/reset", self.reset, methods=["POST"]),
        ]

    async def stats(self, request: Request) -> Response:
        """Say what was called and what there is."""
        del request
        limits = self.org.limits
        records = {name: self.org.store.count(one) for name, one in sorted(self.org.schema.objects.items())}
        return JSONResponse(
            {
                "api_calls": {
                    "total": limits.total,
                    "by_resource": limits.by_resource,
                    "refused": limits.refused,
                    "used": limits.used(),
                    "limit": limits.daily_limit,
                },
                "records": records,
            }
        )

    async def records(self, request: Request) -> Response:
        """List an object's records with all their non-null fields; ``?deleted=1`` adds the recycle bin."""
        one = self.org.schema.get(request.path_params["name"])
        if one is None:
            return JSONResponse({"error": f"no object {request.path_params['name']}"}, 404)
        deleted = request.query_params.get("deleted") in {"1", "true"}
        return JSONResponse(self.org.everything(one, deleted=deleted))

    async def list_faults(self, request: Request) -> Response:
        """List the rules with how often each fired."""
        del request
        return JSONResponse([rule.shown() for rule in self.org.faults.rules])

    async def set_faults(self, request: Request) -> Response:
        """Add a rule or a list of rules, or clear them with ``{"clear": true}``."""
        given = await _json(request)
        if isinstance(given, dict) and given.get("clear"):
            self.org.faults.clear()
        else:
            try:
                self.org.faults.set(given)
            except InvalidRule as problem:
                return JSONResponse({"error": str(problem)}, 400)
        return JSONResponse([rule.shown() for rule in self.org.faults.rules])

    async def set_limits(self, request: Request) -> Response:
        """Change daily_limit, window_s, concurrent_limit, long_request_s; ``use`` adds another client's calls."""
        given = await _json(request)
        kinds: dict[str, type] = {
            "daily_limit": int,
            "window_s": float,
            "concurrent_limit": int,
            "long_request_s": float,
            "bulk_delay_s": float,
            "use": int,
        }
        if not isinstance(given, dict) or given.keys() - kinds.keys():
            return JSONResponse({"error": f"an object with {', '.join(kinds)} is needed"}, 400)
        limits = self.org.limits
        try:
            values = {name: kinds[name](value) for name, value in given.items()}
        except (TypeError, ValueError):
            return JSONResponse({"error": "limits are numbers"}, 400)
        for name, value in values.items():
            if name == "use":
                limits.use(value)
            elif name == "bulk_delay_s":
                self.org.bulk.delay_s = value
            else:
                setattr(limits, name, value)
        shown = {name: getattr(limits, name) for name in kinds if name not in {"use", "bulk_delay_s"}}
        return JSONResponse({**shown, "bulk_delay_s": self.org.bulk.delay_s, "used": limits.used()})

    async def set_sessions(self, request: Request) -> Response:
        """End all sessions with ``{"kill": true}``, or set how long an idle one lives with ``{"lifetime_s": n}``."""
        given = await _json(request)
        if not isinstance(given, dict) or not isinstance(given.get("lifetime_s", 0.0), int | float):
            return JSONResponse({"error": "an object with kill or lifetime_s, a number, is needed"}, 400)
        if "lifetime_s" in given:
            self.org.auth.session_s = float(given["lifetime_s"])
        if given.get("kill"):
            self.org.auth.kill_all()
        return JSONResponse({"lifetime_s": self.org.auth.session_s})

    async def set_duplicate_rules(self, request: Request) -> Response:
        """Replace the duplicate rules: a list of ``{"object", "fields", "blocks"}``."""
        given = await _json(request)
        rules = []
        for one in given if isinstance(given, list) else []:
            if not isinstance(one, dict):
                return JSONResponse({"error": "a rule is a JSON object"}, 400)
            known = self.org.schema.get(str(one.get("object")))
            fields = [known.field(str(name)) for name in one.get("fields", ())] if known else []
            if known is None or not fields or None in fields:
                return JSONResponse({"error": "every rule needs an object and fields it has"}, 400)
            names = tuple(field.name for field in fields if field)
            rules.append(DuplicateRule(known.name, names, bool(one.get("blocks", False))))
        self.org.duplicates.rules[:] = rules
        return JSONResponse(
            [{"object": rule.object, "fields": list(rule.fields), "blocks": rule.blocks} for rule in rules]
        )

    async def set_maintenance(self, request: Request) -> Response:
        """Let the org only be read, or end that: ``{"read_only": true}``."""
        given = await _json(request)
        if not isinstance(given, dict) or not isinstance(given.get("read_only"), bool):
            return JSONResponse({"error": "an object with read_only, true or false, is needed"}, 400)
        self.org.writer.read_only = given["read_only"]
        return JSONResponse({"read_only": self.org.writer.read_only})

    async def merge(self, request: Request) -> Response:
        """Merge records: ``{"object", "master", "losers": [...]}``, as a user of the org would."""
        given = await _json(request)
        try:
            one = self.org.schema.get(str(given["object"]))
            master, *losers = map(ids.canonical, (given["master"], *given["losers"]))
        except (KeyError, TypeError, ids.NotAnId):
            return JSONResponse({"error": "an object with object, master and losers, which are Ids, is needed"}, 400)
        if one is None:
            return JSONResponse({"error": f"no object {given['object']}"}, 404)
        problems = merge(self.org.store, one, master, losers, self.org.clock())
        if problems:
            return JSONResponse({"error": f"{problems[0].code}: {problems[0].message}"}, 400)
        return JSONResponse({"master": master, "losers": losers})

    async def jwt_key(self, request: Request) -> Response:
        """Return the private key that signs assertions of a connected app (``?client_id=``, the default one's)."""
        app: ConnectedApp | None = self.org.auth.apps.get(request.query_params.get("client_id", "key"))
        key = self.org.auth.private_key(app) if app else None
        if key is None:
            return PlainTextResponse("no such app, or its certificate was configured\n", 404)
        return PlainTextResponse(key, media_type="application/x-pem-file")

    async def reset(self, request: Request) -> Response:
        """Return to the state right after the start; sessions stay good unless ``{"sessions": true}``."""
        given = await _json(request)
        self.org.reset()
        if isinstance(given, dict) and given.get("sessions"):
            self.org.auth.kill_all()
        return JSONResponse({"reset": True})


async def _json(request: Request) -> Any:
    try:
        return json.loads(await request.body() or b"null")
    except ValueError:
        return None
