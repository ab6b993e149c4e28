"""A converted lead refuses to be written: what was meant for it goes to the contact that it became."""

from dataclasses import replace

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
    """Turn an operation on a converted lead into an update of its contact."""
    fields: dict[str, Json] = {_ON_CONTACT.get(name, name): value for name, value in operation.fields.items()}
    return replace(operation, object="Contact", verb="update", match={"Id": contact_id}, fields=fields, on_create={})
