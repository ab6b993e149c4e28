from check import PASSWORD, SECURITY_TOKEN, USER, works
from simple_salesforce import Salesforce

with works("login by SOAP"):
    client = Salesforce(username=USER, password=PASSWORD, security_token=SECURITY_TOKEN)
with works("login by OAuth"):
    Salesforce(
        username=USER, password=PASSWORD + SECURITY_TOKEN, consumer_key="key", consumer_secret="secret", domain="login"
    )
with works("rows"):
    made = client.Lead.create({"LastName": "Byron", "Company": "Engines"})
    client.Lead.update(made["id"], {"City": "Paris"})
    assert client.Lead.get(made["id"])["City"] == "Paris"
with works("query"):
    assert client.query_all("SELECT Id FROM Lead WHERE City = 'Paris'")["totalSize"] == 1
with works("Bulk API 1.0"):
    written = client.bulk.Contact.insert([{"LastName": str(number)} for number in range(3)])
    assert [one["success"] for one in written] == [True] * 3
    assert len(client.bulk.Contact.query("SELECT Id FROM Contact")) == 3
with works("Bulk API 2.0"):
    (job,) = client.bulk2.Campaign.insert(records=[{"Name": "a"}, {"Name": "b"}], wait=1)
    assert job["numberRecordsProcessed"] == 2
    assert "".join(client.bulk2.Campaign.query("SELECT Id, Name FROM Campaign")).count("\n") == 3
