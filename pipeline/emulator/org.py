"""The org: everything an emulator instance holds, put together in one place."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline.emulator.auth import ORG_ID, SESSION_S, Auth, ConnectedApp, User
from pipeline.emulator.bulk import Bulk
from pipeline.emulator.bulk1 import BatchJobs
from pipeline.emulator.drafts import DraftReader
from pipeline.emulator.duplicates import DuplicateRule, DuplicateRules
from pipeline.emulator.errors import ApiError, Json
from pipeline.emulator.faults import Faults
from pipeline.emulator.grants import Grants
from pipeline.emulator.limits import DEFAULT_DAILY_LIMIT, Limits
from pipeline.emulator.org_parts import InvalidSeed
from pipeline.emulator.request_log import RequestLog
from pipeline.emulator.schema import Schema, SObject, standard_objects
from pipeline.emulator.soql.plan import address_parts
from pipeline.emulator.soql.run import Queries, show, show_address
from pipeline.emulator.store import Row, Store, quote
from pipeline.emulator.values import Stored, datetime_text
from pipeline.emulator.writes import Options, Writer

__all__ = ["DEFAULT_APP", "DEFAULT_USER", "InvalidSeed", "Org", "Seed"]
DEFAULT_USER = User("admin@example.com", "password", "token", "005Em0000000001IAA")
# The callback is the one that the Salesforce CLI listens at.
DEFAULT_APP = ConnectedApp("key", "secret", DEFAULT_USER.username, callbacks=("http://localhost:1717/OauthRedirect",))
_PROFILE_ID = "00eEm0000000001IAA"


@dataclass(slots=True)
class Seed:
    """What an org file adds: users, apps, records and rules."""

    users: list[User]
    apps: list[ConnectedApp]
    # Where it stands in the file, the object, and the record as a request would send it.
    records: list[tuple[str, str, Json]]
    duplicates: list[DuplicateRule]


class Org:
    """One org: schema, records, users, limits and faults."""

    def __init__(
        self,
        *,
        schema: Schema | None = None,
        seed: Seed | None = None,
        path: str | None = None,
        daily_limit: int = DEFAULT_DAILY_LIMIT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.clock = clock
        self.schema = schema or Schema(standard_objects())
        self.seed = seed
        self.store = Store(self.schema, path)
        self.duplicates = DuplicateRules()
        self.auth = Auth(clock)
        self.auth.jwt_audiences = self.schema.options.jwt_audiences
        self.grants = Grants(self.auth)
        self.limits = Limits(time.monotonic, daily_limit)
        self.faults = Faults()
        self.requests = RequestLog(clock)
        self.reader = DraftReader()
        self.writer = Writer(self.store, clock, self.duplicates)
        self.queries = Queries(self.store, clock)
        self.bulk = Bulk(self.store, self.reader, self.writer, self.queries, clock)
        self.batch_jobs = BatchJobs(self.store, self.reader, self.writer, self.queries, self.bulk, clock)
        self.started_at = clock()
        # Copies, for a second org in this process must not share passwords that expire or keys that are made.
        self.users = [replace(user) for user in (DEFAULT_USER, *(seed.users if seed else []))]
        for app in (replace(app) for app in (DEFAULT_APP, *(seed.apps if seed else []))):
            self.auth.apps[app.consumer_key] = app
        self._plant()

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def reset(self) -> None:
        """Return to the state right after the start: no usage, no faults, seed records. Sessions stay good."""
        self.store.clear()
        self.writer.forget()
        self.queries.forget()
        self.limits.clear()
        self.faults.clear()
        self.requests.clear()
        self.bulk.clear()
        self.batch_jobs.clear()
        self.auth.session_s = SESSION_S
        # Records number users anew; the first one's Id never changes. Sessions hold these very users.
        for user, given in zip(self.users, (DEFAULT_USER, *(self.seed.users if self.seed else [])), strict=True):
            user.password, user.password_expired = given.password, given.password_expired
            user.record_id = given.record_id
        self._plant()

    def _plant(self) -> None:
        """Add what every org has: itself, a profile, its users; then the org file's records, unless they are there."""
        self.duplicates.rules[:] = self.seed.duplicates if self.seed else []
        self.writer.read_only = False
        with self.store.transaction():
            if self.store.count(self.schema.objects["Organization"]) == 0:
                self._plant_records()
            known = dict(self.store.execute("SELECT lower(Username), Id FROM User").fetchall())
            for number, user in enumerate(self.users, start=1):
                user.record_id = known.get(user.username.lower()) or self._plant_user(user, number)
            self._plant_settings()
        for user in self.users:
            self.auth.add_user(user)
        with self.store.transaction():
            for place, name, body in self.seed.records if self.seed and not known else []:
                self._plant_record(place, name, body)
        self.writer.read_only = self.schema.options.read_only

    def _plant_settings(self) -> None:
        """Add the records of record types and assignment rules, so that queries find them."""
        options = self.schema.options
        rows: dict[str, list[dict[str, Stored]]] = {"RecordType": [], "AssignmentRule": []}
        for known in options.record_types:
            row: dict[str, Stored] = {"Id": known.record_id, "Name": known.name, "DeveloperName": known.developer_name}
            rows["RecordType"].append(row | {"SobjectType": known.object, "IsActive": int(known.is_active)})
        users = {user.username.lower(): user.record_id for user in self.users}
        for rule in options.assignment_rules:
            rule.owner_id = users[rule.owner.lower()]
            row = {"Id": rule.record_id, "Name": rule.name, "SobjectType": rule.object}
            rows["AssignmentRule"].append(row | {"Active": int(rule.is_active)})
        for name, found in rows.items():
            one = self.schema.objects[name]
            there = self.store.rows(one, (), [str(row["Id"]) for row in found])
            self.store.insert(one, [row | self._stamps() for row in found if row["Id"] not in there])

    def _stamps(self) -> dict[str, Stored]:
        now = datetime_text(self.clock())
        stamps: dict[str, Stored] = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), now)
        return stamps | {"CreatedById": DEFAULT_USER.record_id, "LastModifiedById": DEFAULT_USER.record_id}

    def _plant_records(self) -> None:
        stamps = self._stamps()
        organization: dict[str, Stored] = {"Id": ORG_ID, "Name": "Emulator", "OrganizationType": "Developer Edition"}
        self.store.insert(self.schema.objects["Organization"], [organization | {"InstanceName": "EM1"} | stamps])
        profile: dict[str, Stored] = {"Id": _PROFILE_ID, "Name": "System Administrator"}
        self.store.insert(self.schema.objects["Profile"], [profile | stamps])
        book: dict[str, Stored] = {
            "Id": "01sEm0000000001IAA",
            "Name": "Standard Price Book",
            "IsActive": 1,
            "IsStandard": 1,
        }
        self.store.insert(self.schema.objects["Pricebook2"], [book | stamps])
        for one in ("Pricebook2", "User"):
            self.store.keep_number(self.schema.objects[one].key_prefix, 1)

    def _plant_record(self, place: str, name: str, body: Json) -> None:
        one = self.schema.objects[name]
        try:
            draft = self.reader.read(one, body, creating=True, writes_read_only=True)
        except ApiError as refused:
            raise InvalidSeed(f"{place}: {refused.body[0]['message']}") from None
        (outcome,) = self.writer.create(one, [draft], Options(DEFAULT_USER.record_id, allow_duplicates=True))
        if outcome.problems:
            raise InvalidSeed(f"{place}: {outcome.problems[0].code} {outcome.problems[0].message}")

    def _plant_user(self, user: User, number: int) -> str:
        """Add a user's record and return its Id."""
        one = self.schema.objects["User"]
        user.record_id = user.record_id or self.writer.next_id(one)
        now = datetime_text(self.clock())
        stamps: dict[str, Stored] = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), now)
        name = user.username.partition("@")[0]
        row: dict[str, Stored] = {
            "Id": user.record_id,
            "Username": user.username,
            "Email": user.username,
            "LastName": name.capitalize(),
            "Name": name.capitalize(),
            "Alias": name[:8],
            "CommunityNickname": f"{name}{number}"[:40],
            "IsActive": int(user.is_active),
            "ProfileId": _PROFILE_ID,
            "UserType": "Standard",
            "TimeZoneSidKey": "GMT",
            "LocaleSidKey": "en_US",
            "LanguageLocaleKey": "en_US",
            "EmailEncodingKey": "UTF-8",
        }
        self.store.insert(one, [row | stamps])
        return user.record_id

    def read(self, one: SObject, record_id: str, root: str, fields: Sequence[str] | None = None) -> Json | None:
        """Return a record as REST shows it, deleted or not; all its fields unless some are named; None when unknown."""
        chosen = [known for known in map(one.field, fields) if known] if fields is not None else [*one.fields.values()]
        columns = [known.name for known in one.stored]
        row = self.store.execute(
            f"SELECT {', '.join(map(quote, columns))} FROM {quote(one.name)} WHERE Id = ?",  # noqa: S608 - the describe's
            (record_id,),
        ).fetchone()
        if row is None:
            return None
        values = dict(zip(columns, row, strict=True))
        record: Json = {"attributes": {"type": one.name, "url": f"{root}/sobjects/{one.name}/{record_id}"}}
        for known in chosen:
            if known.is_compound:
                parts = [values[part.name] if part else None for part in address_parts(one, known)]
                record[known.name] = show_address(parts)
            else:
                record[known.name] = show(values[known.name], known)
        return record

    def everything(self, one: SObject, *, deleted: bool = False) -> list[Json]:
        """Return all records of an object with their non-null fields, in the order of creation."""
        return [_filled(one, row) for row in self.store.execute(f"{_select(one, deleted=deleted)} ORDER BY rowid")]

    def newest(self, one: SObject, *, start: int, most: int) -> list[Json]:
        """Return records of an object with their non-null fields, the newest first, from position ``start`` on."""
        sql = f"{_select(one)} ORDER BY rowid DESC LIMIT ? OFFSET ?"
        return [_filled(one, row) for row in self.store.execute(sql, (most, start))]


def _select(one: SObject, *, deleted: bool = False) -> str:
    where = "" if deleted or not one.has_deleted else " WHERE IsDeleted = 0"
    columns = ", ".join(quote(known.name) for known in one.stored)
    return f"SELECT {columns} FROM {quote(one.name)}{where}"  # noqa: S608 - names of the describe


def _filled(one: SObject, row: Row) -> Json:
    pairs = zip(one.stored, row, strict=True)
    return {known.name: show(value, known) for known, value in pairs if value is not None}
