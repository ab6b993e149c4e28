// Bulk API 2.0: loads in one go and step by step, queries, and jobs that fail.

import assert from 'node:assert/strict';

const OPTIONS = { pollInterval: 10, pollTimeout: 20_000 };

function leads(count) {
  return Array.from({ length: count }, (_, n) => ({
    LastName: `Lead ${n}`,
    Company: 'Engines, "Ltd"',
    Segment_User_Id__c: `u-${n}`,
  }));
}

function load(connection, operation, input, more = {}) {
  return connection.bulk2.loadAndWaitForResults({ object: 'Lead', operation, input, ...OPTIONS, ...more });
}

export const BULK_CHECKS = {
  async 'bulk insert, update, upsert, delete and hard delete'(org) {
    const connection = await org.connect();
    const inserted = await load(connection, 'insert', [...leads(3), { LastName: '', Company: 'Nameless', Segment_User_Id__c: '' }]);
    assert.deepEqual(inserted.successfulResults.map((row) => [row.sf__Created, row.LastName]), [
      ['true', 'Lead 0'],
      ['true', 'Lead 1'],
      ['true', 'Lead 2'],
    ]);
    assert.match(inserted.failedResults[0].sf__Error, /^REQUIRED_FIELD_MISSING:Required fields are missing: \[LastName\]/);
    assert.deepEqual(inserted.unprocessedRecords, []);
    const ids = inserted.successfulResults.map((row) => row.sf__Id);
    const updated = await load(connection, 'update', ids.map((Id) => ({ Id, City: 'London' })));
    assert.deepEqual(updated.successfulResults.map((row) => row.sf__Created), ['false', 'false', 'false']);
    assert.equal(await connection.sobject('Lead').count({ City: 'London' }), 3);
    const upserted = await load(connection, 'upsert', leads(4), { externalIdFieldName: 'Segment_User_Id__c' });
    assert.deepEqual(upserted.successfulResults.map((row) => row.sf__Created), ['false', 'false', 'false', 'true']);
    const deleted = await load(connection, 'delete', [{ Id: ids[0] }, { Id: ids[0] }]);
    assert.equal(deleted.successfulResults.length, 1);
    assert.match(deleted.failedResults[0].sf__Error, /^ENTITY_IS_DELETED:entity is deleted:--$/);
    await load(connection, 'hardDelete', [{ Id: ids[1] }]);
    const left = await connection.query('SELECT Id, IsDeleted FROM Lead', { scanAll: true });
    assert.deepEqual([left.totalSize, left.records.filter((one) => one.IsDeleted).length], [3, 1]);
  },

  async 'bulk load of CSV in another form'(org) {
    const connection = await org.connect();
    const input = 'LastName;Company\r\nByron;"Engines; Ltd"\r\n';
    const done = await load(connection, 'insert', input, { columnDelimiter: 'SEMICOLON', lineEnding: 'CRLF' });
    assert.equal(done.failedResults.length, 0);
    assert.equal((await connection.query('SELECT Company FROM Lead')).records[0].Company, 'Engines; Ltd');
  },

  async 'a bulk job step by step'(org) {
    const connection = await org.connect();
    const job = connection.bulk2.createJob({ object: 'Lead', operation: 'insert' });
    const states = [];
    job.on('open', () => states.push('Open'));
    job.on('close', () => states.push('UploadComplete'));
    job.on('jobComplete', (info) => states.push(info.state));
    const info = await job.open();
    assert.deepEqual([info.state, info.object, info.apiVersion, info.contentType], ['Open', 'Lead', 62, 'CSV']);
    assert.equal(info.contentUrl, `services/data/v62.0/jobs/ingest/${info.id}/batches`);
    await job.uploadData(leads(450));
    await job.close();
    await job.poll(OPTIONS.pollInterval, OPTIONS.pollTimeout);
    const done = await job.check();
    assert.deepEqual(
      [done.state, done.jobType, done.numberRecordsProcessed, done.numberRecordsFailed, done.retries],
      ['JobComplete', 'V2Ingest', 450, 0, 0],
    );
    assert.deepEqual(states, ['Open', 'UploadComplete', 'JobComplete']);
    assert.equal((await job.getSuccessfulResults()).length, 450);
    assert.equal((await job.getFailedResults()).length, 0);
    assert.match(await job.getSuccessfulResults(true), /^"sf__Id","sf__Created",/);
    await job.delete();
    await assert.rejects(job.check(), { name: 'NOT_FOUND' });
  },

  async 'an aborted bulk job'(org) {
    const connection = await org.connect();
    const job = connection.bulk2.createJob({ object: 'Lead', operation: 'insert' });
    await job.open();
    await job.uploadData(leads(2));
    await job.abort();
    assert.equal((await job.check()).state, 'Aborted');
    assert.deepEqual((await job.getUnprocessedRecords()).map((row) => row.LastName), ['Lead 0', 'Lead 1']);
    await job.delete();
  },

  async 'bulk jobs that fail'(org) {
    const connection = await org.connect();
    await assert.rejects(load(connection, 'insert', [{ LastName: 'Byron', Nothing__c: 'x' }]), /InvalidBatch : Field name not found : Nothing__c/);
    await assert.rejects(load(connection, 'insert', 'LastName,Company\r\nByron,Engines\r\n'), /LineEnding is invalid on user data/);
    const upsert = load(connection, 'upsert', leads(1), { externalIdFieldName: 'Company' });
    await assert.rejects(upsert, { name: 'INVALIDJOB' });
    await assert.rejects(connection.bulk2.createJob({ object: 'Nothing__c', operation: 'insert' }).open(), { name: 'INVALIDENTITY' });
  },

  async 'bulk query and bulk queryAll'(org) {
    const connection = await org.connect();
    const made = await connection.sobject('Lead').create(leads(5));
    await connection.sobject('Lead').destroy(made[0].id);
    const soql = 'SELECT Id, LastName, Owner.Username FROM Lead ORDER BY LastName';
    const records = await (await connection.bulk2.query(soql, OPTIONS)).toArray();
    assert.deepEqual(records.map((one) => one.LastName), ['Lead 1', 'Lead 2', 'Lead 3', 'Lead 4']);
    assert.equal(records[0]['Owner.Username'], 'admin@example.com');
    const all = await (await connection.bulk2.query(soql, { ...OPTIONS, scanAll: true })).toArray();
    assert.equal(all.length, 5);
    await assert.rejects(connection.bulk2.query('SELECT COUNT(Id) FROM Lead', OPTIONS), { name: 'API_ERROR' });
  },

  async 'an ended session is renewed within a bulk load'(org) {
    const connection = await org.connect();
    await org.control('sessions', { kill: true });
    const done = await load(connection, 'insert', leads(1));
    assert.equal(done.successfulResults.length, 1);
  },
};
