"""An org without a server that holds known records, and answers queries and searches at a known time."""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.emulator import org_file
from pipeline.emulator.errors import ApiError
from pipeline.emulator.http import Call
from pipeline.emulator.org import DEFAULT_USER, Org
from pipeline.emulator.rest_query import Reading
from pipeline.emulator.rest_search import Searching
from pipeline.emulator.router import Router
from pipeline.emulator.schema import Schema, standard_objects
from pipeline.emulator.writes import Options

FOLDER = Path(__file__).parents[2] / "data" / "soql"
NOW = 1795878240.0  # 2026-11-28T15:04:00Z


class World:
    """The org of world.yaml; ``ids`` are the Ids of its records by name."""

    def __init__(self, folder: Path) -> None:
        given = json.loads(json.dumps(yaml.safe_load((FOLDER / "world.yaml").read_text(encoding="utf-8")), default=str))
        path = folder / "org.yaml"
        path.write_text(yaml.safe_dump(given["org"]), encoding="utf-8")
        schema = Schema(standard_objects())
        self.org = Org(schema=schema, seed=org_file.load(path, schema), clock=lambda: NOW)
        self.user_id = self.org.users[0].record_id
        self.ids = {"me": self.user_id}
        self._router = Router()
        Reading(self.org, self._router)
        Searching(self.org, self._router)
        for name, kind, fields in given["records"]:
            self.ids[name] = self.create(kind, fields)

    def create(self, kind: str, fields: dict[str, Any]) -> str:
        """Create a record, read-only fields included, and return its Id."""
        one = self.org.schema.objects[kind]
        body = {name: self.filled(value) for name, value in fields.items()}
        draft = self.org.reader.read(one, body, creating=True, writes_read_only=True)
        options = Options(DEFAULT_USER.record_id, allow_duplicates=True)
        with self.org.store.transaction():
            (outcome,) = self.org.writer.create(one, [draft], options)
        assert outcome.record_id is not None, outcome.problems
        assert not outcome.problems, outcome.problems
        if "CreatedDate" in fields:
            self.org.store.update(one, [(outcome.record_id, {"CreatedDate": fields["CreatedDate"]})])
        return outcome.record_id

    def filled(self, value: Any) -> Any:
        """Return a value with the names of records replaced by their Ids."""
        if isinstance(value, str):
            return re.sub(r"\$([a-z]+)", lambda match: self.ids[match[1]], value)
        if isinstance(value, list):
            return [self.filled(one) for one in value]
        return {name: self.filled(one) for name, one in value.items()} if isinstance(value, dict) else value

    def ask(self, text: str, *, version: str = "66.0", resource: str = "") -> tuple[int, Any]:
        """Return status and body of the answer to a SOQL or SOSL statement."""
        resource = resource or ("search" if text.lstrip().upper().startswith("FIND") else "query")
        return self.get(resource, {"q": self.filled(text)}, version=version)

    def get(self, resource: str, query: dict[str, str], *, version: str = "66.0") -> tuple[int, Any]:
        """Return status and body of the answer to a GET."""
        return self._answer(Call("GET", version, (resource,), query, {}, user_id=self.user_id))

    def post(self, resource: str, body: Any) -> tuple[int, Any]:
        """Return status and body of the answer to a POST of JSON."""
        return self._answer(Call("POST", "66.0", (resource,), {}, {}, user_id=self.user_id, decoded=body))

    def _answer(self, call: Call) -> tuple[int, Any]:
        try:
            reply = self._router.answer(call)
        except ApiError as refused:
            return refused.status, refused.body
        return reply.status, reply.body


@cache
def groups() -> list[dict[str, Any]]:
    """Return the statements by section of the reference."""
    files = sorted(path for path in FOLDER.glob("*.yaml") if path.name != "world.yaml")
    return [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))]


def coverage() -> str:
    """Return the coverage table of docs/emulator.md: the statements of each section by their kind of answer."""
    lines = [
        "| section of the reference | answered | Salesforce's own error | not covered | missing |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    totals = [0, 0, 0]
    others = []
    for group in groups():
        if not group["statements"]:
            others.append(f"{group['section']} ({group.get('elsewhere') or 'missing: ' + group['missing']})")
            continue
        errors = sum("error" in statement for statement in group["statements"])
        beyond = sum("beyond" in statement for statement in group["statements"])
        counts = [len(group["statements"]) - errors - beyond, errors, beyond]
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
        counted = (str(count or "") for count in counts)
        lines.append(_line([group["section"], *counted, group.get("missing", "")]))
    lines.append(_line(["all", *map(str, totals), ""]))
    return "\n".join([*lines, "", f"Sections without a statement: {'; '.join(others)}."])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |").replace("|  |", "| |")


if __name__ == "__main__":
    sys.stdout.write(f"{coverage()}\n")
