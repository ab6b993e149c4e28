"""A converted lead refuses to be written: what was meant for it goes to the contact that it became."""

from dataclasses import replace
from typing import cast

from pipeline.operation import Json, Operation

# Fields that have another name on a contact; a lead's address is the contact's mailing address, as conversion maps it
# (Salesforce Help, "Lead Conversion Field Mapping"). Others keep their name, and are left out where a contact has none.
_ON_CONTACT = {
    "Street": "MailingStreet",
    "City": "MailingCity",
    "State": "MailingState",
    "PostalCode": "MailingPostalCode",
    "Country": "MailingCountry",
    "StateCode": "MailingStateCode",
    "CountryCode": "MailingCountryCode",
}


def for_contact(operation: Operation, contact_id: str) -> Operation:
    """Turn an operation on a converted lead into an update of its contact; a read of the lead reads the contact."""
    fields: dict[str, Json] = {_ON_CONTACT.get(name, name): value for name, value in operation.fields.items()}
    options = dict(operation.options)
    if operation.verb == "read":
        options["read"] = [_ON_CONTACT.get(name, name) for name in cast("list[str]", options.get("read", []))]
    return replace(
        operation,
        object="Contact",
        verb="read" if operation.verb == "read" else "update",
        match={"Id": contact_id},
        fields=fields,
        on_create={},
        options=options,
    )
