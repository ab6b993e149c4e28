import logging
from types import SimpleNamespace

from check import TOKEN, works
from cumulusci.tasks.bulkdata.step import (
    BulkApiDmlOperation,
    DataApi,
    DataOperationStatus,
    DataOperationType,
    RestApiDmlOperation,
    get_dml_operation,
    get_query_operation,
)
from salesforce_bulk import SalesforceBulk
from simple_salesforce import Salesforce

HOST = "emulator.my.salesforce.com"
context = SimpleNamespace(
    sf=Salesforce(instance=HOST, session_id=TOKEN, version="60.0"),
    bulk=SalesforceBulk(host=HOST, sessionId=TOKEN, API_version="60.0"),
    logger=logging.getLogger("check"),
)


def load(count, wanted, operation=DataOperationType.INSERT, options=None):
    step = get_dml_operation(
        sobject="Contact",
        operation=operation,
        fields=["LastName", "Email"],
        api_options=options or {},
        context=context,
        volume=count,
        api=DataApi.SMART,
    )
    assert isinstance(step, wanted), type(step)
    step.start()
    step.load_records([str(number), f"c{count}-{number}@example.com"] for number in range(count))
    step.end()
    assert step.job_result.status is DataOperationStatus.SUCCESS, step.job_result
    results = list(step.get_results())
    assert len(results) == count
    assert all(one.success for one in results)


with works("loading below its REST threshold"):
    load(300, RestApiDmlOperation)
with works("loading above its REST threshold (Bulk API 1.0)"):
    load(2_500, BulkApiDmlOperation)
with works("upsert by Bulk API 1.0"):
    load(2_500, BulkApiDmlOperation, DataOperationType.UPSERT, options={"update_key": "Email"})
with works("extracting by Bulk API 1.0"):
    step = get_query_operation(
        sobject="Contact",
        fields=["Id", "LastName"],
        api_options={},
        context=context,
        query="SELECT Id, LastName FROM Contact",
        api=DataApi.BULK,
    )
    step.query()
    assert sum(1 for _ in step.get_results()) >= 2_800
