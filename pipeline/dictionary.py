"""The text that stored operations have in common: told to LZ4 beforehand, it is stored in none of them.

It is part of the format: what was compressed with it can be read with it alone, to the letter. A better one is a new
format with a mark of its own in `operation.py`, and this one stays for as long as entries of its own may wait.
"""

from typing import Final

# Pieces follow one another as they do in a stored operation, because a match goes on over quotes and commas.
DICTIONARY: Final = (
    # What browsers and phones say, by the Segment spec.
    b'"context":{"active":true,"app":{"name":"","version":"1.","build":""},"campaign":{"name":"","source":"google",'
    b'"medium":"","term":"","content":""},"device":{"id":"","manufacturer":"Apple","model":"iPhone","type":"ios"},'
    b'"ip":"","library":{"name":"analytics.js","version":"next-1."},"locale":"en-US","os":{"name":"","version":""},'
    b'"page":{"path":"/","referrer":"https://www.","search":"?utm_","title":"","url":"https://www."},'
    b'"screen":{"density":,"height":,"width":},"timezone":"Europe/","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; '
    b'x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36","userAgentData":{"brands":[{"brand":"'
    b'"},"integrations":{"All":true,"type":"track","event":"","properties":{"revenue":,"products":[{"product_id":"'
    b'"originalTimestamp":"20","sentAt":"20","receivedAt":"20'
    # A group, by the default mapping.
    b'#group","object":"Account","verb":"upsert","time":17,"match":{"AccountNumber":""},"fields":{"Name":"","Phone":"'
    b'","Website":"https://","Description":"","NumberOfEmployees":,"Industry":"","AnnualRevenue":,"BillingStreet":"'
    b'","BillingCity":"","BillingState":"","BillingPostalCode":"","BillingCountry":"USA","AccountNumber":"'
    b'"},"event":{"type":"group","userId":"","anonymousId":null,"timestamp":"20","groupId":"","traits":{"name":"'
    b'","phone":"","address":{"street":"","city":"","state":"","postalCode":"","country":"USA"},"employees":,'
    b'"website":"https://","description":"'
    # An identify, by the default mapping.
    b'{"v":1,"id":"#identify","object":"Lead","verb":"upsert","time":17,"match":{"Email":"@gmail.com"},"fields":{'
    b'"FirstName":"","LastName":"","Email":"","Title":"","Phone":"","MobilePhone":"","LeadSource":"","Description":"'
    b'","Company":"","Website":"https://","Industry":"","NumberOfEmployees":,"Street":"","City":"","State":"'
    b'","PostalCode":"","Country":""},"traits":{"plan":"","createdAt":"20"},"on_create":{"Company":"n/a","LastName":"n/a"'
    b'},"event":{"type":"identify","userId":"","anonymousId":null,"timestamp":"20T:+00:00","context":{"library":{"name":"'
    b'analytics-python","version":"2."}},"integrations":{"Salesforce":true},"traits":{"email":"","firstName":"'
    b'","lastName":"","phone":"","title":"","company":{"id":"","name":"","industry":"","employee_count":},"street":"'
    b'","city":"","state":"","postalCode":"","country":"USA","username":"","age":,"birthday":"","gender":"","avatar":"'
    b'"},"messageId":"ajs-next-"}}'
)
