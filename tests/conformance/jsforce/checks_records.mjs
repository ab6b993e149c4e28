// Records one by one and two hundred at a time, and how refusals reach the caller.

import assert from 'node:assert/strict';

const LEAD = { LastName: 'Byron', Company: 'Engines' };
const ID = /^00Q[A-Za-z0-9]{15}$/;

function leads(count) {
  return Array.from({ length: count }, (_, n) => ({ ...LEAD, LastName: `Lead ${n}`, Segment_User_Id__c: `u-${n}` }));
}

export const RECORD_CHECKS = {
  async 'one record: create, retrieve, update, destroy'(org) {
    const connection = await org.connect();
    const made = await connection.sobject('Lead').create({ ...LEAD, Email: 'ada@example.com' });
    assert.match(made.id, ID);
    assert.deepEqual([made.success, made.errors], [true, []]);
    const record = await connection.sobject('Lead').retrieve(made.id);
    assert.deepEqual([record.Id, record.LastName, record.attributes.type], [made.id, 'Byron', 'Lead']);
    const some = await connection.sobject('Lead').retrieve(made.id, { fields: ['LastName', 'City'] });
    assert.deepEqual(Object.keys(some).sort(), ['City', 'Id', 'LastName', 'attributes'].sort());
    assert.deepEqual(await connection.sobject('Lead').update({ Id: made.id, City: 'London', Email: null }), {
      id: made.id,
      success: true,
      errors: [],
    });
    const changed = await connection.sobject('Lead').retrieve(made.id);
    assert.deepEqual([changed.City, changed.Email], ['London', null]);
    assert.deepEqual(await connection.sobject('Lead').destroy(made.id), { id: made.id, success: true, errors: [] });
    await assert.rejects(connection.sobject('Lead').retrieve(made.id), { name: 'ENTITY_IS_DELETED', message: 'entity is deleted' });
  },

  async 'one record by reference'(org) {
    const connection = await org.connect();
    const { id } = await connection.sobject('Lead').create(LEAD);
    const reference = connection.sobject('Lead').record(id);
    await reference.update({ City: 'London' });
    assert.equal((await reference.retrieve()).City, 'London');
    await reference.destroy();
    assert.equal((await connection.query('SELECT Id FROM Lead')).totalSize, 0);
  },

  async 'many records: create, retrieve, update, destroy'(org) {
    const connection = await org.connect();
    const made = await connection.sobject('Lead').create([...leads(3), { Company: 'Nameless' }]);
    assert.deepEqual(made.map((one) => one.success), [true, true, true, false]);
    assert.equal(made[3].errors[0].statusCode, 'REQUIRED_FIELD_MISSING');
    assert.deepEqual(made[3].errors[0].fields, ['LastName']);
    const ids = made.slice(0, 3).map((one) => one.id);
    const found = await connection.sobject('Lead').retrieve([...ids, '00QEm0000000zzz']);
    assert.deepEqual(found.map((one) => one?.LastName ?? null), ['Lead 0', 'Lead 1', 'Lead 2', null]);
    const updates = ids.map((Id, n) => ({ Id, City: n ? 'London' : 'x'.repeat(41) }));
    const updated = await connection.sobject('Lead').update(updates);
    assert.deepEqual(updated.map((one) => one.success), [false, true, true]);
    assert.equal(updated[0].errors[0].statusCode, 'STRING_TOO_LONG');
    const gone = await connection.sobject('Lead').del([...ids, ids[0]]);
    assert.deepEqual(gone.map((one) => one.success), [true, true, true, false]);
    assert.equal(gone[3].errors[0].statusCode, 'ENTITY_IS_DELETED');
  },

  async 'many records, all or none'(org) {
    const connection = await org.connect();
    const made = await connection.sobject('Lead').create([LEAD, { Company: 'Nameless' }], { allOrNone: true });
    assert.deepEqual(made.map((one) => one.errors[0].statusCode), [
      'ALL_OR_NONE_OPERATION_ROLLED_BACK',
      'REQUIRED_FIELD_MISSING',
    ]);
    assert.equal((await connection.query('SELECT Id FROM Lead')).totalSize, 0);
    const [kept] = await connection.sobject('Lead').create([LEAD]);
    const gone = await connection.sobject('Lead').destroy([kept.id, '00QEm0000000zzz'], { allOrNone: true });
    assert.deepEqual(gone.map((one) => one.success), [false, false]);
    assert.equal((await connection.query('SELECT Id FROM Lead')).totalSize, 1);
  },

  async 'more records than one call takes'(org) {
    const connection = await org.connect();
    const before = (await org.apiCalls()).total;
    const made = await connection.sobject('Lead').create(leads(450), { allowRecursive: true });
    assert.equal(made.filter((one) => one.success).length, 450);
    assert.equal((await org.apiCalls()).total - before, 3);
    await assert.rejects(connection.sobject('Lead').create(leads(201)), { name: 'EXCEEDED_ID_LIMIT' });
    const ids = made.map((one) => one.id);
    const gone = await connection.sobject('Lead').destroy(ids, { allowRecursive: true });
    assert.equal(gone.filter((one) => one.success).length, 450);
  },

  async 'records of several types in one call'(org) {
    const connection = await org.connect();
    const records = [
      { attributes: { type: 'Account' }, Name: 'Engines', Account_Key__c: 'A-1' },
      { attributes: { type: 'Gadget__c' }, Name: 'Loom', Account__r: { Account_Key__c: 'A-1' } },
    ];
    const [account, gadget] = await connection.create(null, records);
    assert.equal((await connection.sobject('Gadget__c').retrieve(gadget.id)).Account__c, account.id);
  },

  async 'upsert of one record'(org) {
    const connection = await org.connect();
    const record = { ...LEAD, Segment_User_Id__c: 'u-1' };
    const created = await connection.sobject('Lead').upsert(record, 'Segment_User_Id__c');
    assert.deepEqual([created.success, created.created], [true, true]);
    const updated = await connection.sobject('Lead').upsert({ ...record, City: 'London' }, 'Segment_User_Id__c');
    assert.deepEqual([updated.id, updated.created], [created.id, false]);
    const old = await org.connect({ version: '45.0' });
    assert.deepEqual(await old.sobject('Lead').upsert(record, 'Segment_User_Id__c'), { success: true, errors: [] });
  },

  async 'upsert of many records'(org) {
    const connection = await org.connect();
    await connection.sobject('Lead').create(leads(1));
    const done = await connection.sobject('Lead').upsert([...leads(3), { ...leads(4)[3], Email: 'x' }], 'Segment_User_Id__c');
    assert.deepEqual(done.map((one) => [one.success, one.created === true]), [
      [true, false],
      [true, true],
      [true, true],
      [false, false],
    ]);
    assert.equal(done[3].errors[0].statusCode, 'INVALID_EMAIL_ADDRESS');
  },

  async 'an external Id of several records'(org) {
    const connection = await org.connect();
    await connection.sobject('Lead').create([1, 2].map(() => ({ ...LEAD, Campaign_Code__c: 'spring' })));
    const upsert = connection.sobject('Lead').upsert({ Campaign_Code__c: 'spring', City: 'London' }, 'Campaign_Code__c');
    await assert.rejects(upsert, (problem) => {
      assert.equal(problem.name, 'MULTIPLE_CHOICES');
      assert.equal(problem.data.length, 2);
      return true;
    });
  },

  async 'updates and deletions of what a query finds'(org) {
    const connection = await org.connect();
    await connection.sobject('Lead').create(leads(5));
    const updated = await connection.sobject('Lead').find({ LastName: { $like: 'Lead %' } }).update({ City: '${Company}' });
    assert.equal(updated.filter((one) => one.success).length, 5);
    assert.equal(await connection.sobject('Lead').count({ City: 'Engines' }), 5);
    await connection.sobject('Lead').find({ LastName: 'Lead 0' }).destroy();
    assert.equal(await connection.sobject('Lead').count(), 4);
  },

  async 'refusals carry code, message and fields'(org) {
    const connection = await org.connect();
    await assert.rejects(connection.sobject('Lead').create({ FirstName: 'Ada' }), (problem) => {
      assert.equal(problem.name, 'REQUIRED_FIELD_MISSING');
      assert.equal(problem.message, 'Required fields are missing: [LastName, Company]');
      assert.deepEqual(problem.data.fields, ['LastName', 'Company']);
      return true;
    });
    await assert.rejects(connection.sobject('Lead').create({ ...LEAD, Nothing__c: 1 }), { name: 'INVALID_FIELD' });
    await assert.rejects(connection.sobject('Nothing__c').create(LEAD), { name: 'NOT_FOUND' });
    await assert.rejects(connection.sobject('Lead').retrieve('001Em0000000001'), { name: 'MALFORMED_ID' });
    await assert.rejects(connection.request('/nothing'), { name: 'NOT_FOUND', message: 'The requested resource does not exist' });
    await assert.rejects(connection.requestPut('/sobjects/Lead', {}), { name: 'METHOD_NOT_ALLOWED' });
  },

  async 'faults of the org arrive as errors'(org) {
    const connection = await org.connect();
    const faults = { unavailable: 'SERVER_UNAVAILABLE', server_error: 'UNKNOWN_EXCEPTION', quota: 'REQUEST_LIMIT_EXCEEDED' };
    for (const [fault, name] of Object.entries({ ...faults, row_lock: 'UNABLE_TO_LOCK_ROW' })) {
      await org.control('faults', { fault, next: 1 });
      await assert.rejects(connection.sobject('Lead').create(LEAD), { name });
    }
    await org.control('faults', { fault: 'unavailable', html: true, next: 1 });
    await assert.rejects(connection.sobject('Lead').create(LEAD), { name: 'ERROR_HTTP_503' });
    assert.equal((await connection.sobject('Lead').create(LEAD)).success, true);
  },
};
