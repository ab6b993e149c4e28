"""Every public method of simple-salesforce is exercised here, or stands below with the reason why it is not."""

import importlib
import inspect
from pathlib import Path

import pytest
from simple_salesforce.api import Salesforce, SFType
from simple_salesforce.bulk import SFBulkHandler, SFBulkType
from simple_salesforce.bulk2 import SFBulk2Handler, SFBulk2Type

CLASSES = (Salesforce, SFType, SFBulkHandler, SFBulkType, SFBulk2Handler, SFBulk2Type)
METADATA_API = "the Metadata API, which changes what the emulator takes from its org file"
BULK_1 = "Bulk API 1.0, which Bulk API 2.0 replaced"
FILES = "files and pictures, of which the emulator has no object"
OUT_OF_SCOPE = {
    "Salesforce.mdapi": METADATA_API,
    "Salesforce.deploy": METADATA_API,
    "Salesforce.checkDeployStatus": METADATA_API,
    "SFBulkHandler.submit_dml": BULK_1,
    "SFBulkType.delete": BULK_1,
    "SFBulkType.hard_delete": BULK_1,
    "SFBulkType.insert": BULK_1,
    "SFBulkType.query": BULK_1,
    "SFBulkType.query_all": BULK_1,
    "SFBulkType.submit_dml": BULK_1,
    "SFBulkType.update": BULK_1,
    "SFBulkType.upsert": BULK_1,
    "SFBulkType.worker": BULK_1,
    "SFType.get_base64": FILES,
    "SFType.session_id": "the token the client holds, which asks nothing of the org",
    "SFType.update_base64": FILES,
    "SFType.upload_base64": FILES,
}


def public_methods() -> set[str]:
    return {
        f"{one.__name__}.{name}"
        for one in CLASSES
        for name, member in vars(one).items()
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property | staticmethod))
    }


def exercised_methods() -> set[str]:
    names = sorted(file.stem for file in Path(__file__).parent.glob("test_*.py"))
    modules = [importlib.import_module(f"tests.conformance.simple_salesforce.{name}") for name in names]
    found: set[str] = set()
    for function in (one for module in modules for one in vars(module).values() if inspect.isfunction(one)):
        marks: list[pytest.Mark] = getattr(function, "pytestmark", [])
        found |= {name for mark in marks if mark.name == "exercises" for name in mark.args}
    return found


def test_no_public_method_is_forgotten() -> None:
    assert public_methods() - exercised_methods() == set(OUT_OF_SCOPE)
