// Describes, several requests in one, usage, and what changed lately.

import assert from 'node:assert/strict';

const LEAD = { LastName: 'Byron', Company: 'Engines' };
const MINUTE_MS = 60_000;

export const ORG_CHECKS = {
  async 'describe() and describeGlobal()'(org) {
    const connection = await org.connect();
    const all = await connection.describeGlobal();
    assert.equal(all.maxBatchSize, 200);
    const brief = all.sobjects.find((one) => one.name === 'Gadget__c');
    const full = await connection.sobject('Gadget__c').describe();
    assert.deepEqual([brief.custom, full.custom, full.keyPrefix], [true, true, brief.keyPrefix]);
    const lead = await connection.describe('Lead');
    const key = lead.fields.find((field) => field.name === 'Segment_User_Id__c');
    assert.deepEqual([key.externalId, key.unique, key.type, key.length], [true, true, 'string', 80]);
    assert.ok(lead.fields.every((field) => Array.isArray(field.picklistValues) && typeof field.nillable === 'boolean'));
    await assert.rejects(connection.describe('Nothing__c'), { name: 'NOT_FOUND' });
  },

  async 'a cached describe costs one call'(org) {
    const connection = await org.connect();
    const before = (await org.apiCalls()).total;
    await connection.describe$('Lead');
    await connection.describe$('Lead');
    assert.equal((await org.apiCalls()).total - before, 1);
  },

  async 'layouts, list views and quick actions'(org) {
    const connection = await org.connect();
    const lead = connection.sobject('Lead');
    const { layouts, recordTypeMappings } = await lead.layouts();
    assert.equal(layouts[0].id, recordTypeMappings[0].layoutId);
    assert.equal((await connection.request(recordTypeMappings[0].urls.layout)).id, layouts[0].id);
    assert.equal((await lead.compactLayouts()).compactLayouts[0].objectType, 'Lead');
    assert.deepEqual((await lead.approvalLayouts()).approvalLayouts, []);
    assert.equal((await lead.listviews()).size, 0);
    assert.deepEqual(await lead.quickActions(), []);
  },

  async 'limits() and the usage of every reply'(org) {
    const connection = await org.connect();
    const limits = await connection.limits();
    assert.deepEqual(limits.DailyApiRequests, { Max: 100_000, Remaining: 99_999 });
    assert.deepEqual(connection.limitInfo.apiUsage, { used: 1, limit: 100_000 });
  },

  async 'recent(), of the org and of an object'(org) {
    const connection = await org.connect();
    const account = await connection.sobject('Account').create({ Name: 'Engines' });
    const lead = await connection.sobject('Lead').create(LEAD);
    const recent = await connection.recent();
    assert.deepEqual(recent.map((one) => one.Id).sort(), [account.id, lead.id].sort());
    assert.equal((await connection.recent(1)).length, 1);
    const [item] = await connection.sobject('Account').recent();
    assert.deepEqual([item.Id, item.Name], [account.id, 'Engines']);
  },

  async 'updated() and deleted()'(org) {
    const connection = await org.connect();
    const [kept, gone] = await connection.sobject('Lead').create([LEAD, LEAD]);
    await connection.sobject('Lead').destroy(gone.id);
    const [start, end] = [new Date(Date.now() - 5 * MINUTE_MS), new Date(Date.now() + 5 * MINUTE_MS)];
    const updated = await connection.sobject('Lead').updated(start, end);
    assert.deepEqual(updated.ids, [kept.id]);
    const deleted = await connection.sobject('Lead').deleted(start.toISOString(), end.toISOString());
    assert.deepEqual(deleted.deletedRecords.map((one) => one.id), [gone.id]);
    assert.ok(!Number.isNaN(Date.parse(deleted.deletedRecords[0].deletedDate.replace('+0000', 'Z'))));
    await assert.rejects(connection.sobject('Lead').updated(end, start), { name: 'INVALID_REPLICATION_DATE' });
  },

  async 'composite: later requests refer to earlier replies'(org) {
    const connection = await org.connect();
    const root = '/services/data/v62.0';
    const { compositeResponse } = await connection.requestPost('/composite', {
      allOrNone: true,
      compositeRequest: [
        { method: 'POST', url: `${root}/sobjects/Account`, referenceId: 'account', body: { Name: 'Engines' } },
        {
          method: 'POST',
          url: `${root}/sobjects/Contact`,
          referenceId: 'contact',
          body: { LastName: 'Byron', AccountId: '@{account.id}' },
        },
        {
          method: 'GET',
          url: `${root}/query?q=SELECT+Id,Account.Name+FROM+Contact+WHERE+Id='@{contact.id}'`,
          referenceId: 'found',
        },
      ],
    });
    assert.deepEqual(compositeResponse.map((one) => one.httpStatusCode), [201, 201, 200]);
    assert.equal(compositeResponse[2].body.records[0].Account.Name, 'Engines');
    assert.equal(compositeResponse[0].httpHeaders.Location, `${root}/sobjects/Account/${compositeResponse[0].body.id}`);
  },

  async 'composite: all or none'(org) {
    const connection = await org.connect();
    const url = '/services/data/v62.0/sobjects/Lead';
    const { compositeResponse } = await connection.requestPost('/composite', {
      allOrNone: true,
      compositeRequest: [
        { method: 'POST', url, referenceId: 'good', body: LEAD },
        { method: 'POST', url, referenceId: 'bad', body: {} },
      ],
    });
    assert.deepEqual(compositeResponse.map((one) => one.body[0].errorCode), ['PROCESSING_HALTED', 'REQUIRED_FIELD_MISSING']);
    assert.equal(await connection.sobject('Lead').count(), 0);
  },

  async 'composite/batch and composite/tree'(org) {
    const connection = await org.connect();
    const batch = await connection.requestPost('/composite/batch', {
      batchRequests: [
        { method: 'POST', url: 'v62.0/sobjects/Lead', richInput: LEAD },
        { method: 'GET', url: 'v62.0/sobjects/Nothing__c' },
      ],
    });
    assert.deepEqual([batch.hasErrors, ...batch.results.map((one) => one.statusCode)], [true, 201, 404]);
    const tree = await connection.requestPost('/composite/tree/Account', {
      records: [
        {
          attributes: { type: 'Account', referenceId: 'account' },
          Name: 'Engines',
          Contacts: { records: [{ attributes: { type: 'Contact', referenceId: 'contact' }, LastName: 'Byron' }] },
        },
      ],
    });
    assert.deepEqual(tree.results.map((one) => one.referenceId), ['account', 'contact']);
    assert.equal((await connection.query('SELECT Account.Name FROM Contact')).records[0].Account.Name, 'Engines');
  },

  async 'resources and versions'(org) {
    const connection = await org.connect();
    const resources = await connection.request('/');
    assert.equal(resources.sobjects, '/services/data/v62.0/sobjects');
    const versions = await connection.request('/services/data');
    assert.deepEqual([versions.at(-1).version, versions.at(-1).url], ['68.0', '/services/data/v68.0']);
  },
};
