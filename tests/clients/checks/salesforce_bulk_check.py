import json

from check import INSTANCE, PASSWORD, SECURITY_TOKEN, TOKEN, USER, works
from salesforce_bulk import SalesforceBulk

with works("login by SOAP"):
    SalesforceBulk(username=USER, password=PASSWORD, security_token=SECURITY_TOKEN)
bulk = SalesforceBulk(sessionId=TOKEN, host=INSTANCE)
XML = '<sObjects xmlns="http://www.force.com/2009/06/asyncapi/dataload"><sObject><LastName>x</LastName></sObject></sObjects>'


def run(job, data):
    batch = bulk.post_batch(job, data)
    bulk.wait_for_batch(job, batch, sleep_interval=0.1)
    bulk.close_job(job)
    return bulk.get_batch_results(batch, job)


for kind, data in (("CSV", b"LastName\nx\n"), ("JSON", json.dumps([{"LastName": "x"}])), ("XML", XML)):
    with works(f"ingest in {kind}"):
        (result,) = run(bulk.create_insert_job("Contact", contentType=kind), data)
        assert result.success in {True, "true"}
    with works(f"query in {kind}"):
        job = bulk.create_query_job("Contact", contentType=kind)
        batch = bulk.query(job, "SELECT Id, LastName FROM Contact")
        bulk.wait_for_batch(job, batch, sleep_interval=0.1)
        (page,) = bulk.get_all_results_for_query_batch(batch)
        assert b"LastName" in page.read()
with works("upsert and delete"):
    (upserted,) = run(bulk.create_upsert_job("Contact", "Email", contentType="CSV"), b"Email,LastName\na@b.co,x\n")
    (deleted,) = run(bulk.create_delete_job("Contact", contentType="CSV"), f"Id\n{upserted.id}\n".encode())
    assert deleted.success == "true"
