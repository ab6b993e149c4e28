"""The text that stored operations have in common: told to LZ4 beforehand, it is stored in none of them.

It is part of the format: what was compressed with it can be read with it alone, to the letter. A better one is a new
format with a mark of its own in `operation.py`, and this one stays for as long as entries of its own may wait.
"""

from typing import Final

# Pieces follow one another as they do in a stored operation, because a match goes on over quotes and commas.
DICTIONARY: Final = "".join(
    (
        # Actions, and what rules say about delivery.
        '#actions[0]","object":"Contact","verb":"update","time":18"verb":"create","match":{"Id":"00',
        '"},"on_create":{"RecordTypeId":{"object":"RecordType","match":{"DeveloperName":"","SobjectType":"Opportunity"},',
        '"on_create":true}},"options":{"join":"or","on_multiple":"error","on_converted":"skip","clear_nulls":true,',
        '"priority":"high","read":["lookups":{"OwnerId":{"object":"User","match":{"Username":"',
        # Events of browsers and phones, by the Segment spec: context and properties.
        '"context":{"active":true,"app":{"name":"","version":"1.","build":""},"campaign":{"name":"","source":"google",',
        '"medium":"","term":"","content":""},"device":{"id":"","manufacturer":"Apple","model":"iPhone","type":"ios"},',
        '"ip":"","library":{"name":"analytics.js","version":"next-1."},"locale":"en-US","os":{"name":"","version":""},',
        '"page":{"path":"/","referrer":"https://www.","search":"?utm_","title":"","url":"https://www."},',
        '"screen":{"density":,"height":,"width":},"timezone":"Europe/","userAgent":"Mozilla/5.0 (Windows NT 10.0; Win64; ',
        'x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36","userAgentData":{"brands":[{"brand":"',
        '"},"integrations":{"All":true,"Salesforce":true},"event":"Order Completed","properties":{"order_id":"","total":',
        ',"revenue":,"currency":"USD","value":,"products":[{"product_id":"","sku":"","name":"","price":,"quantity":1,',
        '"category":"","type":"track","userId":"","anonymousId":"","originalTimestamp":"20","sentAt":"20","receivedAt":"20',
        # A group, by the default mapping.
        '#group","object":"Account","verb":"upsert","time":17,"match":{"AccountNumber":""},"fields":{"Name":"","Phone":"',
        '","Website":"https://","Description":"","NumberOfEmployees":,"Industry":"","AnnualRevenue":,"BillingStreet":"',
        '","BillingCity":"","BillingState":"","BillingPostalCode":"","BillingCountry":"USA","AccountNumber":"',
        '"},"event":{"type":"group","userId":"","anonymousId":null,"timestamp":"20","groupId":"","traits":{"name":"',
        '","phone":"","address":{"street":"","city":"","state":"","postalCode":"","country":"USA"},"employees":,',
        '"website":"https://","description":"',
        # An identify, by the default mapping.
        '{"v":1,"id":"#identify","object":"Lead","verb":"upsert","time":17,"match":{"Email":"@gmail.com"},"fields":{',
        '"FirstName":"","LastName":"","Email":"","Title":"","Phone":"","MobilePhone":"","LeadSource":"","Description":"',
        '","Company":"","Website":"https://","Industry":"","NumberOfEmployees":,"Street":"","City":"","State":"',
        '","PostalCode":"","Country":""},"traits":{"plan":"","createdAt":"20"},"on_create":{"Company":"n/a","LastName":"n/a"',
        '},"event":{"type":"identify","userId":"","anonymousId":null,"timestamp":"20T:+00:00","context":{"library":{"name":"',
        'analytics-python","version":"2."}},"integrations":{"Salesforce":true},"traits":{"email":"","firstName":"',
        '","lastName":"","phone":"","title":"","company":{"id":"","name":"","industry":"","employee_count":},"street":"',
        '","city":"","state":"","postalCode":"","country":"USA","username":"","age":,"birthday":"","gender":"","avatar":"',
        '"},"messageId":"ajs-next-"}}',
    )
).encode()
