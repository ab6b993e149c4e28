"""What an object does beyond its fields' types: derived fields and checks between fields (Object Reference)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.emulator import errors
from pipeline.emulator.errors import RecordError
from pipeline.emulator.store import Store
from pipeline.emulator.values import DATETIME_FORMAT, Stored

# Stage: closed, won, probability, forecast category and its label, as a new org has them.
STAGES: dict[str, tuple[int, int, float, str, str]] = {
    "Prospecting": (0, 0, 10.0, "Pipeline", "Pipeline"),
    "Qualification": (0, 0, 10.0, "Pipeline", "Pipeline"),
    "Needs Analysis": (0, 0, 20.0, "Pipeline", "Pipeline"),
    "Value Proposition": (0, 0, 50.0, "Pipeline", "Pipeline"),
    "Id. Decision Makers": (0, 0, 60.0, "Pipeline", "Pipeline"),
    "Perception Analysis": (0, 0, 70.0, "Pipeline", "Pipeline"),
    "Proposal/Price Quote": (0, 0, 75.0, "Pipeline", "Pipeline"),
    "Negotiation/Review": (0, 0, 90.0, "Pipeline", "Pipeline"),
    "Closed Won": (1, 1, 100.0, "Closed", "Closed"),
    "Closed Lost": (1, 0, 0.0, "Omitted", "Omitted"),
}
_OPEN_STAGE = (0, 0, 10.0, "Pipeline", "Pipeline")
_PERSON_COPIES = [
    "Salutation",
    "FirstName",
    "LastName",
    "Name",
    "Title",
    "Email",
    "Phone",
    "Fax",
    "MobilePhone",
    "Description",
    "LeadSource",
    "DoNotCall",
    "HasOptedOutOfEmail",
    "HasOptedOutOfFax",
    "OwnerId",
]


@dataclass(slots=True)
class Change:
    """One record about to be written: the values to write, and the ones it has (empty for a create)."""

    values: dict[str, Stored]
    old: Mapping[str, Stored]
    now: str
    # As in Options.
    assignment: str = "FALSE"

    @property
    def creating(self) -> bool:
        """Whether the record is new."""
        return not self.old

    def get(self, name: str) -> Stored:
        """Return the value that the record will have."""
        return self.values[name] if name in self.values else self.old.get(name)

    def text(self, name: str) -> str:
        """Return a text the record will have, or the empty string."""
        return str(self.get(name) or "")

    def touches(self, *names: str) -> bool:
        """Whether one of the fields is written."""
        return any(name in self.values for name in names)


class Rules:
    """The rules of an object that has none beyond its fields."""

    # Columns of the record as it is, which an update needs to know.
    needs: tuple[str, ...] = ()

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Return what is wrong with the record as a whole.

        ``taken`` is shared by the records of one call: what only one of them may be.
        """
        del change, store, taken
        return []

    def derive(self, change: Change, store: Store) -> None:
        """Set the fields that follow from others."""


class PersonRules(Rules):
    """Lead, Contact and User: Name is put together from first and last name."""

    needs: tuple[str, ...] = ("FirstName", "LastName")

    def derive(self, change: Change, store: Store) -> None:
        """Set Name."""
        del store
        if change.touches("FirstName", "LastName"):
            change.values["Name"] = " ".join(filter(None, (change.text("FirstName"), change.text("LastName"))))


class LeadRules(PersonRules):
    """Lead: a converted one takes no more changes."""

    needs: tuple[str, ...] = (*PersonRules.needs, "IsConverted")

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Refuse a change of a converted lead, unless the org's users may view and edit those."""
        del taken
        may = store.schema.options.edit_converted_leads
        return [errors.converted()] if change.old.get("IsConverted") and not may else []


class CaseRules(Rules):
    """Case: what closing it sets, and how its contact is reached."""

    needs = ("Status", "IsClosed")

    def derive(self, change: Change, store: Store) -> None:
        """Set IsClosed, ClosedDate and the contact's reachabilities."""
        if change.touches("Status") or change.creating:
            closed = int(change.text("Status") == "Closed")
            if closed != change.old.get("IsClosed"):
                change.values["IsClosed"] = closed
                change.values["ClosedDate"] = change.now if closed else None
        if change.values.get("ContactId"):
            copies = ("Phone", "MobilePhone", "Email", "Fax", "AccountId")
            contact = str(change.values["ContactId"])
            found = store.rows(store.schema.objects["Contact"], copies, [contact]).get(contact)
            if found:
                shown = ("ContactPhone", "ContactMobile", "ContactEmail", "ContactFax")
                change.values.update(zip(shown, found[:4], strict=True))
                if not change.get("AccountId"):
                    change.values["AccountId"] = found[4]


class OpportunityRules(Rules):
    """Opportunity: what follows from stage, amount and close date."""

    needs = ("StageName", "Amount", "Probability", "CloseDate")

    def derive(self, change: Change, store: Store) -> None:
        """Set the closed, won and forecast fields, the probability, the expected revenue and the fiscal period."""
        del store
        if change.touches("StageName"):
            closed, won, probability, category, category_name = STAGES.get(change.text("StageName"), _OPEN_STAGE)
            change.values |= {"IsClosed": closed, "IsWon": won, "ForecastCategory": category}
            change.values["LastStageChangeDate"] = None if change.creating else change.now
            if "Probability" not in change.values:
                change.values["Probability"] = probability
            if "ForecastCategoryName" not in change.values:
                change.values["ForecastCategoryName"] = category_name
        if change.touches("Amount", "Probability", "StageName"):
            amount, chance = change.get("Amount"), change.get("Probability")
            if isinstance(amount, float) and isinstance(chance, float):
                change.values["ExpectedRevenue"] = round(amount * chance / 100, 2)
            else:
                change.values["ExpectedRevenue"] = None
        if change.touches("CloseDate") and change.text("CloseDate"):
            year, month = change.text("CloseDate").split("-")[:2]
            quarter = (int(month) + 2) // 3
            change.values |= {"FiscalYear": int(year), "FiscalQuarter": quarter, "Fiscal": f"{year} {quarter}"}


class ActivityRules(Rules):
    """What tasks and events share: a lead as Who excludes a What, and a converted lead cannot be one."""

    needs: tuple[str, ...] = ("WhoId", "WhatId")

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Check Who and What."""
        del taken
        who = change.text("WhoId")
        if not who.startswith("00Q") or not change.touches("WhoId", "WhatId"):
            return []
        if change.get("WhatId"):
            message = "Related To ID: a task or event of a lead cannot be related to another record"
            return [RecordError("FIELD_INTEGRITY_EXCEPTION", message, ("WhatId",))]
        found = store.rows(store.schema.objects["Lead"], ("IsConverted",), [who]).get(who)
        return [errors.converted("WhoId")] if found and found[0] else []

    def derive(self, change: Change, store: Store) -> None:
        """Set AccountId from what the activity is about."""
        for reference in ("WhoId", "WhatId"):
            value = change.values.get(reference)
            if isinstance(value, str):
                if value.startswith("001"):
                    change.values["AccountId"] = value
                one = store.schema.by_id(value)
                if one is not None and "AccountId" in one.fields:
                    found = store.rows(one, ("AccountId",), [value]).get(value)
                    change.values["AccountId"] = found[0] if found else None


class TaskRules(ActivityRules):
    """Task: what follows from status and priority."""

    needs = (*ActivityRules.needs, "Status", "Priority", "IsClosed")

    def derive(self, change: Change, store: Store) -> None:
        """Set IsClosed, CompletedDateTime and IsHighPriority."""
        super().derive(change, store)
        if change.touches("Status"):
            closed = int(change.text("Status") == "Completed")
            if closed != (change.old.get("IsClosed") or 0):
                change.values["CompletedDateTime"] = change.now if closed else None
            change.values["IsClosed"] = closed
        if change.touches("Priority"):
            change.values["IsHighPriority"] = int(change.text("Priority") == "High")


class EventRules(ActivityRules):
    """Event: a start, and an end or a duration."""

    needs = (*ActivityRules.needs, "StartDateTime", "EndDateTime", "DurationInMinutes", "IsAllDayEvent")

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Require a start and an end."""
        missing = []
        if change.creating:
            if not (change.get("DurationInMinutes") or change.get("EndDateTime") or change.get("IsAllDayEvent")):
                missing.append("DurationInMinutes")
            if not (change.get("ActivityDateTime") or change.get("StartDateTime") or change.get("ActivityDate")):
                missing.append("ActivityDateTime")
        found = super().check(change, store, taken)
        return [*found, errors.required_missing(tuple(missing))] if missing else found

    def derive(self, change: Change, store: Store) -> None:
        """Set start, end, date and duration from whichever of them were given."""
        super().derive(change, store)
        start = change.text("StartDateTime") if change.touches("StartDateTime") else change.text("ActivityDateTime")
        if not start or not change.touches("StartDateTime", "ActivityDateTime", "DurationInMinutes", "EndDateTime"):
            return
        begin = datetime.strptime(start, DATETIME_FORMAT.replace("+0000", "%z"))  # noqa: DTZ007  (its offset is in the format)
        minutes = change.get("DurationInMinutes")
        if change.values.get("EndDateTime"):
            end = datetime.strptime(change.text("EndDateTime"), DATETIME_FORMAT.replace("+0000", "%z"))  # noqa: DTZ007  (its offset is in the format)
            minutes = int((end - begin).total_seconds() // 60)
        end = begin + timedelta(minutes=float(minutes or 0))
        change.values |= {
            "StartDateTime": start,
            "ActivityDateTime": start,
            "ActivityDate": start[:10],
            "EndDateTime": end.strftime(DATETIME_FORMAT),
            "EndDate": end.strftime("%Y-%m-%d"),
            "DurationInMinutes": minutes,
        }


class CampaignMemberRules(Rules):
    """CampaignMember: one person, once per campaign, whose details it shows."""

    needs = ("CampaignId", "LeadId", "ContactId")

    def check(self, change: Change, store: Store, taken: set[tuple[Stored, ...]]) -> list[RecordError]:
        """Require exactly one person, who is no member yet."""
        if not change.creating:
            return []
        lead, contact = change.get("LeadId"), change.get("ContactId")
        if bool(lead) == bool(contact):
            message = (
                "You must specify either a lead or a contact" if not lead else "Specify a lead or a contact, not both"
            )
            return [RecordError("FIELD_INTEGRITY_EXCEPTION", message, ("LeadId", "ContactId"))]
        column = "LeadId" if lead else "ContactId"
        one = store.schema.objects["CampaignMember"]
        store.index(one, one.fields["CampaignId"])
        member = (change.get("CampaignId"), lead or contact)
        known = store.execute(
            f'SELECT 1 FROM CampaignMember WHERE IsDeleted = 0 AND CampaignId = ? AND "{column}" = ?',  # noqa: S608 - one of two
            member,
        ).fetchone()
        if known or member in taken:
            return [RecordError("DUPLICATE_VALUE", "Already a campaign member.")]
        taken.add(member)
        return []

    def derive(self, change: Change, store: Store) -> None:
        """Set HasResponded and copy the person's details."""
        if change.touches("Status"):
            responded = int(change.text("Status") == "Responded")
            change.values["HasResponded"] = responded
            change.values["FirstRespondedDate"] = change.now[:10] if responded else None
        if not change.creating:
            return
        person = str(change.get("LeadId") or change.get("ContactId"))
        one = store.schema.by_id(person)
        if one is None:
            return
        prefix = "" if one.name == "Lead" else "Mailing"
        places = ("Street", "City", "State", "PostalCode", "Country")
        columns = [*_PERSON_COPIES, *(prefix + place for place in places)]
        extra = "Company" if one.name == "Lead" else "AccountId"
        found = store.rows(one, [*columns, extra], [person]).get(person)
        if found is None:
            return
        copied = dict(zip([*_PERSON_COPIES, *places, "CompanyOrAccount"], found, strict=True))
        if one.name == "Contact" and copied["CompanyOrAccount"]:
            account = copied["CompanyOrAccount"]
            copied["CompanyOrAccount"] = store.rows(store.schema.objects["Account"], ("Name",), [account])[account][0]
        copied["LeadOrContactOwnerId"] = copied.pop("OwnerId")
        change.values |= copied | {"LeadOrContactId": person, "Type": one.name}


class PricebookEntryRules(Rules):
    """PricebookEntry: shows its product's name and code."""

    def derive(self, change: Change, store: Store) -> None:
        """Copy name and code from the product."""
        if change.creating:
            product = str(change.get("Product2Id"))
            found = store.rows(store.schema.objects["Product2"], ("Name", "ProductCode"), [product]).get(product)
            if found:
                change.values["Name"], change.values["ProductCode"] = found


_PLAIN = Rules()
_RULES: dict[str, Rules] = {
    "Lead": LeadRules(),
    "Contact": PersonRules(),
    "User": PersonRules(),
    "Case": CaseRules(),
    "Opportunity": OpportunityRules(),
    "Task": TaskRules(),
    "Event": EventRules(),
    "CampaignMember": CampaignMemberRules(),
    "PricebookEntry": PricebookEntryRules(),
}


def rules_of(name: str) -> Rules:
    """Return the rules of an object."""
    return _RULES.get(name, _PLAIN)
