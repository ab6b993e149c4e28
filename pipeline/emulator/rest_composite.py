"""Several requests in one: composite, composite/batch and composite/tree (REST API guide: Composite resources)."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from pipeline.emulator import errors
from pipeline.emulator.drafts import Draft, attributes_type
from pipeline.emulator.errors import ApiError, Json
from pipeline.emulator.http import Call, Reply, parse_query, split_path
from pipeline.emulator.org import Org
from pipeline.emulator.rest_collections import RolledBack
from pipeline.emulator.rest_rows import Rows
from pipeline.emulator.router import Router
from pipeline.emulator.schema import SObject

MOST_SUBREQUESTS = 25
# Of these, at most so many may be collections or queries.
MOST_HEAVY = 5
_REFERENCE = re.compile(r"@\{([^}]*)\}")
_REFERENCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*", re.ASCII)
_PATH_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
# What a subrequest may say (REST API guide: Composite Subrequest, Batch Subrequest).
_SUBREQUEST = {"method", "url", "referenceId", "body", "httpHeaders"}
_BATCH_SUBREQUEST = {"method", "url", "richInput"}
_SERVICES = ("services", "data")
_COLLECTIONS = ("composite", "sobjects")
_QUERIES = frozenset({("query",), ("queryAll",)})
# Resources of subrequests (REST API guide: Composite, Composite Batch).
_IN_COMPOSITE = _QUERIES | {("sobjects",)}
_IN_BATCH = _IN_COMPOSITE | {("limits",), ("search",), ("parameterizedSearch",), ("recent",)}


class Composites:
    """Answers for the composite resources."""

    def __init__(self, org: Org, rows: Rows, router: Router) -> None:
        self.org = org
        self.rows = rows
        self.router = router
        router.add("POST", "composite", "composite", self.composite)
        router.add("POST", "composite/batch", "batch", self.batch)
        router.add("POST", "composite/tree/{object}", "tree", self.tree)

    def composite(self, call: Call) -> Reply:
        """Run up to 25 subrequests in order; later ones may refer to the replies of earlier ones."""
        body = call.json()
        requests = body.get("compositeRequest") if isinstance(body, dict) else None
        if not isinstance(requests, list) or not requests or not all(isinstance(one, dict) for one in requests):
            raise errors.json_invalid("The request needs a list called compositeRequest")
        if len(requests) > MOST_SUBREQUESTS:
            message = f"The number of subrequests may not exceed {MOST_SUBREQUESTS}"
            raise errors.refuse(400, "LIMIT_EXCEEDED", message)
        errors.only_keys(body, {"allOrNone", "collateSubrequests", "compositeRequest"})
        calls = self.calls_of(call, requests)
        for one in calls:
            if one.path[:1] not in _IN_COMPOSITE and one.path[:2] != _COLLECTIONS:
                message = f"The resource cannot be called in a composite request: {'/'.join(one.path)}"
                raise errors.refuse(400, "INVALID_INPUT", message)
        heavy = sum(1 for one in calls if one.path[:1] in _QUERIES or one.path[:2] == _COLLECTIONS)
        if heavy > MOST_HEAVY:
            message = f"The composite request may have at most {MOST_HEAVY} sObject Collections and query subrequests"
            raise errors.refuse(400, "LIMIT_EXCEEDED", message)
        replies, _ = self.work_off(requests, calls, all_or_none=body.get("allOrNone") is True)
        return Reply(200, {"compositeResponse": self.shown(requests, replies)})

    def calls_of(self, call: Call, requests: list[Json]) -> list[Call]:
        """Return the calls that subrequests make; raise 400 for what is none, or shares another's referenceId."""
        _check_reference_ids(requests)
        for one in requests:
            errors.only_keys(one, _SUBREQUEST)
        return [self._subcall(call, one) for one in requests]

    def work_off(self, requests: list[Json], calls: list[Call], *, all_or_none: bool) -> tuple[list[Reply], bool]:
        """Run subrequests in order, in one transaction, and return their replies and whether one of them failed."""
        replies: list[Reply] = []
        try:
            with self.org.store.transaction():
                self._run(requests, calls, replies)
                if all_or_none and any(map(_has_failed, replies)):
                    raise RolledBack  # noqa: TRY301  (leaves the transaction)
        except RolledBack:
            failed = next(position for position, reply in enumerate(replies) if _has_failed(reply))
            halted = [errors.refuse(400, "PROCESSING_HALTED", errors.HALTED).body[0]]
            replies = [
                replies[position] if position == failed else Reply(400, halted) for position in range(len(requests))
            ]
        return replies, any(map(_has_failed, replies))

    @staticmethod
    def shown(requests: list[Json], replies: list[Reply]) -> list[Json]:
        """Return replies as a composite response has them."""
        return [
            {
                "body": reply.body,
                "httpHeaders": {name: value for name, value in reply.headers.items() if name == "Location"},
                "httpStatusCode": reply.status,
                "referenceId": one["referenceId"],
            }
            for one, reply in zip(requests, replies, strict=True)
        ]

    def _run(self, requests: list[Json], calls: list[Call], replies: list[Reply]) -> None:
        results: dict[str, Reply] = {}
        for one, sub in zip(requests, calls, strict=True):
            reply = self._run_one(one, sub, results)
            results[one["referenceId"]] = reply
            replies.append(reply)

    def _run_one(self, one: Json, sub: Call, results: dict[str, Reply]) -> Reply:
        try:
            url = _fill(one["url"], results)
            if url != one["url"]:
                parts = urlsplit(url)
                sub.path, sub.query = _after_version(split_path(parts.path))[1], parse_query(parts.query)
            sub.decoded = _fill_deep(one.get("body"), results)
            reply = self.router.answer(sub)
        except _UnresolvedError as unresolved:
            if unresolved.failed:
                return Reply(400, [errors.refuse(400, "PROCESSING_HALTED", errors.HALTED).body[0]])
            message = f"Invalid reference specified. No value for {unresolved} found"
            return Reply(400, [errors.refuse(400, "PROCESSING_HALTED", message).body[0]])
        except ApiError as refused:
            return Reply(refused.status, refused.body)
        return reply

    def _subcall(self, call: Call, one: Json) -> Call:
        """Return the call that a subrequest makes; raise 400 for one that names no method or URL of the API."""
        method, url = one.get("method"), one.get("url")
        if not isinstance(method, str) or not isinstance(url, str):
            raise errors.refuse(400, "INVALID_INPUT", "Every subrequest needs a method, a url and a referenceId")
        parts = urlsplit(url)
        version, path = _after_version(split_path(parts.path))
        if version is None:
            raise errors.refuse(400, "INVALID_INPUT", f"The url must begin with /services/data/vXX.X: {parts.path}")
        given = one.get("httpHeaders") or {}
        headers = {**call.headers, **{str(name).lower(): str(value) for name, value in given.items()}}
        query = parse_query(parts.query)
        return Call(method, version, path, query, headers, user_id=call.user_id, inner=True, base_url=call.base_url)

    def batch(self, call: Call) -> Reply:
        """Run up to 25 subrequests that know nothing of each other; each is charged."""
        body = call.json()
        requests = _batch_requests(body)
        errors.only_keys(body, {"batchRequests", "haltOnError"})
        halts = body.get("haltOnError") is True
        results: list[Json] = []
        failed = False
        for one in requests:
            if failed and halts:
                message = "Batch processing was halted because of an error and haltOnError was true."
                halted = [errors.refuse(412, "BATCH_PROCESSING_HALTED", message).body[0]]
                results.append({"statusCode": 412, "result": halted})
                continue
            reply = self._batch_one(call, one)
            failed = failed or reply.status >= HTTPStatus.BAD_REQUEST
            results.append({"statusCode": reply.status, "result": reply.body})
        return Reply(200, {"hasErrors": failed, "results": results})

    def _batch_one(self, call: Call, one: Json) -> Reply:
        if one.keys() & {"binaryPartName", "binaryPartNameAlias"}:
            return Reply(400, errors.not_covered("binary parts of a batch").body)
        errors.only_keys(one, _BATCH_SUBREQUEST)
        url = str(one.get("url", ""))
        # A batch names its URLs from the version on: v66.0/sobjects/...
        full = url if url.startswith("/services") else f"/services/data/{url.lstrip('/')}"
        try:
            sub = self._subcall(call, {"method": one.get("method"), "url": full, "referenceId": "batch"})
            sub.decoded = one.get("richInput")
            if sub.path[:1] not in _IN_BATCH:
                raise errors.not_found()
            return self.router.answer(sub)
        except ApiError as refused:
            return Reply(refused.status, refused.body)

    # Trees.

    def tree(self, call: Call, name: str) -> Reply:
        """Insert records with records under them, all or none."""
        one = self.rows.object(name)
        body = call.json()
        records = body.get("records") if isinstance(body, dict) else None
        if not isinstance(records, list):
            raise errors.json_invalid("The request needs a list of records")
        errors.only_keys(body, {"records"})
        planter = _Planter(self.org, self.rows, call)
        try:
            with self.org.store.transaction():
                for record in records:
                    planter.plant(one, record, None, depth=1)
                if planter.failures:
                    raise RolledBack  # noqa: TRY301  (leaves the transaction)
        except RolledBack:
            return Reply(400, {"hasErrors": True, "results": planter.failures})
        return Reply(201, {"hasErrors": False, "results": planter.results})


class _Planter:
    """Inserts one tree request's records, parents first."""

    # REST API guide, sObject Tree: records, levels and types of one request.
    MOST_RECORDS, MOST_LEVELS, MOST_TYPES = 200, 5, 5

    def __init__(self, org: Org, rows: Rows, call: Call) -> None:
        self.org = org
        self.options = rows.options(call)
        self.results: list[Json] = []
        self.failures: list[Json] = []
        self._count = 0
        self._types: set[str] = set()

    def plant(self, one: SObject, record: Any, parent: tuple[str, str] | None, *, depth: int) -> None:
        """Insert a record and then its children; ``parent`` is the reference field and the Id it gets."""
        if not isinstance(record, dict):
            raise errors.json_invalid("A record must be an object")
        self._count += 1
        self._types.add(one.name)
        if self._count > self.MOST_RECORDS or depth > self.MOST_LEVELS or len(self._types) > self.MOST_TYPES:
            message = "The request has too many records, levels or types"
            raise errors.refuse(400, "LIMIT_EXCEEDED", message)
        reference_id = record["attributes"].get("referenceId") if attributes_type(record) else None
        if not isinstance(reference_id, str) or not reference_id:
            message = "Every record needs attributes with a type and a referenceId"
            raise errors.refuse(400, "INVALID_INPUT", message)
        own, nested = {}, []
        for name, value in record.items():
            if isinstance(value, dict) and isinstance(value.get("records"), list):
                nested.append((name, value["records"]))
            else:
                own[name] = value
        draft = self._draft(one, own, parent)
        (outcome,) = self.org.writer.create(one, [draft], self.options)
        if outcome.problems:
            problems = [problem.as_status() for problem in outcome.problems]
            self.failures.append({"referenceId": reference_id, "errors": problems})
            return
        self.results.append({"referenceId": reference_id, "id": outcome.record_id})
        for name, children in nested:
            child, field = self._child(one, name)
            for inner in children:
                self.plant(child, inner, (field, str(outcome.record_id)), depth=depth + 1)

    def _draft(self, one: SObject, own: Json, parent: tuple[str, str] | None) -> Draft:
        given = {**own, parent[0]: parent[1]} if parent else own
        return self.org.reader.read(one, given, creating=True)

    def _child(self, one: SObject, name: str) -> tuple[SObject, str]:
        for child, field in self.org.schema.children(one.name):
            if field.child_relationship_name and field.child_relationship_name.lower() == name.lower():
                return child, field.name
        raise errors.no_such_column(name, one.name)


class _UnresolvedError(Exception):
    """A reference to a reply leads nowhere; ``failed`` when that subrequest was refused."""

    def __init__(self, path: str, *, failed: bool) -> None:
        super().__init__(path)
        self.failed = failed


def _has_failed(reply: Reply) -> bool:
    """Whether a subrequest stops an all-or-none composite: it was refused, or a record of its collection was."""
    if reply.status >= HTTPStatus.BAD_REQUEST:
        return True
    return isinstance(reply.body, list) and any(
        isinstance(one, dict) and one.get("success") is False for one in reply.body
    )


def _fill(text: str, results: dict[str, Reply]) -> Any:
    """Replace the references in a text; a text that is nothing but one keeps the value's type."""
    whole = _REFERENCE.fullmatch(text)
    if whole:
        return _look_up(whole.group(1), results)
    return _REFERENCE.sub(lambda match: str(_look_up(match.group(1), results)), text)


def _fill_deep(value: Any, results: dict[str, Reply]) -> Any:
    if isinstance(value, str):
        return _fill(value, results) if "@{" in value else value
    if isinstance(value, dict):
        return {name: _fill_deep(inner, results) for name, inner in value.items()}
    if isinstance(value, list):
        return [_fill_deep(inner, results) for inner in value]
    return value


def references_in(value: Any) -> set[str]:
    """Return the referenceIds that a subrequest's URL and body refer to."""
    found = _REFERENCE.findall(json.dumps(value))
    return {match.group(1) for path in found if (match := _PATH_STEP.match(path)) and match.group(1)}


def _look_up(path: str, results: dict[str, Reply]) -> Any:
    """Return what ``ref.records[0].Id`` means in the replies so far."""
    steps = [int(index) if index else name for name, index in _PATH_STEP.findall(path)]
    reply = results.get(str(steps[0])) if steps else None
    if reply is None:
        raise _UnresolvedError(path, failed=False)
    if reply.status >= HTTPStatus.BAD_REQUEST:
        raise _UnresolvedError(path, failed=True)
    value = reply.body
    for step in steps[1:]:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            raise _UnresolvedError(path, failed=False) from None
    return value


def _check_reference_ids(requests: list[Json]) -> None:
    seen: set[str] = set()
    for one in requests:
        name = one.get("referenceId")
        if not isinstance(name, str) or not _REFERENCE_ID.fullmatch(name):
            message = (
                f"Provided referenceId ('{name}') must start with a letter or a number, and it can contain only "
                "letters, numbers and underscores ('_')."
            )
            raise errors.refuse(400, "INVALID_INPUT", message)
        if name in seen:
            raise errors.refuse(400, "INVALID_INPUT", f"Duplicate referenceId: {name}")
        seen.add(name)


def _after_version(path: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Return the version and the rest of /services/data/vXX.X/...; None when the path is no such."""
    if len(path) <= len(_SERVICES) or path[:2] != _SERVICES or not re.fullmatch(r"v\d+\.\d", path[2]):
        return None, path
    return path[2][1:], path[3:]


def _batch_requests(body: Any) -> list[Json]:
    requests = body.get("batchRequests") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not all(isinstance(one, dict) for one in requests):
        raise errors.json_invalid("The request needs a list called batchRequests")
    if not 1 <= len(requests) <= MOST_SUBREQUESTS:
        message = f"A batch has between 1 and {MOST_SUBREQUESTS} requests"
        raise errors.refuse(400, "LIMIT_EXCEEDED", message)
    return requests


def charge_of(call: Call) -> int:
    """Return how many API calls a request costs: a batch as many as it has subrequests, everything else one."""
    if call.path == ("composite", "batch"):
        try:
            return max(1, len(_batch_requests(call.json())))
        except ApiError:
            return 1
    return 1
