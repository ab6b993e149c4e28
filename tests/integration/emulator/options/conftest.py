"""An emulated org that has switched on what an org file can switch on."""

from collections.abc import Iterator

import pytest
import requests

from pipeline.emulator.server import Running
from tests.integration.emulator.org_client import OrgClient, emptied, running_org

ORG = """
options:
  state_and_country_picklists: true
  person_accounts: true
  edit_converted_leads: true
  jwt_audiences: ["https://login.salesforce.com"]
objects:
  - name: Lead
    fields:
      - {name: Plan__c, type: picklist, values: [free, pro, team], restricted: true}
      - {name: Topics__c, type: multipicklist, values: [Tea, Rice, Salt], restricted: true}
      - {name: Note__c, type: string, length: 10, byte_length: 10}
      - {name: Page__c, type: textarea, length: 300, html_formatted: true}
      - {name: Secret__c, type: string, length: 20, encrypted: true}
      - {name: Email, encrypted: true}
      - {name: CurrencyIsoCode, values: [EUR, USD], default: EUR}
  - name: Contact
    fields: [{name: Pronouns, values: [She/Her, He/Him]}]
record_types:
  - {object: Lead, name: Partner, picklists: {Plan__c: [pro], Topics__c: [Tea, Salt], LeadSource: [Web]}}
  - {object: Lead, name: Consumer, default: true, id: 012Em00000ABCDE}
  - {object: Lead, name: Old, active: false}
users:
  - {username: sales@example.com, password: pw}
  - {username: support@example.com, password: pw}
assignment_rules:
  - {object: Lead, name: By source, owner: sales@example.com, match: {LeadSource: Web}}
  - {object: Lead, name: Asleep, owner: support@example.com, active: false, id: 01QEm0000000ABC}
records:
  Lead:
    - {LastName: Byron, Company: Engines, Phone: "1", IsConverted: true}
    - {LastName: King, Company: Engines, Phone: "2", IsDeleted: true}
"""


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, requests.Session]]:
    with running_org(tmp_path_factory.mktemp("org"), ORG) as running:
        yield running


@pytest.fixture
def org(running: tuple[Running, requests.Session]) -> OrgClient:
    return emptied(*running)
