// Queries in every form the client has, and searches.

import assert from 'node:assert/strict';

async function plant(connection, count) {
  const records = Array.from({ length: count }, (_, n) => ({
    LastName: `Lead ${String(n).padStart(5, '0')}`,
    Company: 'Engines',
  }));
  return (await connection.sobject('Lead').create(records, { allowRecursive: true })).map((one) => one.id);
}

export const QUERY_CHECKS = {
  async 'query() and queryMore() page by page'(org) {
    const connection = await org.connect();
    await plant(connection, 450);
    const soql = 'SELECT Id, LastName FROM Lead ORDER BY LastName';
    let page = await connection.query(soql, { headers: { 'Sforce-Query-Options': 'batchSize=200' } });
    assert.deepEqual([page.totalSize, page.done, page.records.length], [450, false, 200]);
    const names = page.records.map((one) => one.LastName);
    while (!page.done) {
      page = await connection.queryMore(page.nextRecordsUrl);
      names.push(...page.records.map((one) => one.LastName));
    }
    assert.deepEqual(names, [...names].sort());
    assert.equal(new Set(names).size, 450);
    await assert.rejects(connection.queryMore('0r8Em0000000zzz-2000'), { name: 'INVALID_QUERY_LOCATOR' });
  },

  async 'query() fetches all pages by itself'(org) {
    const connection = await org.connect();
    await plant(connection, 4_100);
    const all = await connection.query('SELECT Id FROM Lead', { autoFetch: true, maxFetch: 10_000 });
    assert.deepEqual([all.totalSize, all.done, all.records.length], [4_100, true, 4_100]);
    const some = await connection.query('SELECT Id FROM Lead', { autoFetch: true, maxFetch: 3_000 });
    assert.equal(some.records.length, 3_000);
  },

  async 'query() as a stream of records'(org) {
    const connection = await org.connect();
    await plant(connection, 2_100);
    const records = [];
    const query = connection.query('SELECT Id FROM Lead');
    await new Promise((resolve, reject) => {
      query.on('record', (record) => records.push(record)).on('end', resolve).on('error', reject);
      query.run({ autoFetch: true, maxFetch: 5_000 });
    });
    assert.equal(records.length, 2_100);
    assert.equal(query.totalFetched, 2_100);
  },

  async 'query() with the recycle bin'(org) {
    const connection = await org.connect();
    const ids = await plant(connection, 2_050);
    await connection.sobject('Lead').destroy(ids[0]);
    const soql = 'SELECT Id, IsDeleted FROM Lead';
    assert.equal((await connection.query(soql)).totalSize, 2_049);
    const all = await connection.query(soql, { scanAll: true, autoFetch: true, maxFetch: 5_000 });
    assert.equal(all.records.length, 2_050);
    assert.deepEqual(all.records.filter((one) => one.IsDeleted).map((one) => one.Id), [ids[0]]);
    const built = await connection.sobject('Lead').find({ IsDeleted: true }).scanAll(true);
    assert.deepEqual(built.map((one) => one.Id), [ids[0]]);
  },

  async 'a query that the client builds'(org) {
    const connection = await org.connect();
    await connection.sobject('Lead').create([
      { LastName: "O'Neill", Company: 'Engines', NumberOfEmployees: 5, AnnualRevenue: 10.5 },
      { LastName: 'Byron', Company: 'Engines', NumberOfEmployees: 50 },
      { LastName: 'Lovelace', Company: 'Looms' },
    ]);
    const names = async (conditions) => (await connection.sobject('Lead').find(conditions, 'LastName')).map((one) => one.LastName);
    assert.deepEqual(await names({ LastName: "O'Neill" }), ["O'Neill"]);
    assert.deepEqual(await names({ Company: { $in: ['Looms', 'None'] } }), ['Lovelace']);
    assert.deepEqual(await names({ NumberOfEmployees: { $gt: 5, $lte: 50 } }), ['Byron']);
    assert.deepEqual(await names({ NumberOfEmployees: null }), ['Lovelace']);
    assert.deepEqual((await names({ $or: [{ LastName: 'Byron' }, { Company: 'Looms' }] })).sort(), ['Byron', 'Lovelace']);
    const { Date: SfDate } = (await import('jsforce')).default;
    assert.equal((await names({ CreatedDate: { $gte: SfDate.YESTERDAY } })).length, 3);
    assert.equal((await names({ CreatedDate: { $lt: SfDate.toDateTimeLiteral(new Date(Date.now() + 60_000)) } })).length, 3);
    const sorted = await connection.sobject('Lead').select('LastName').sort('-LastName').limit(1).offset(1);
    assert.equal(sorted[0].LastName, 'Lovelace');
    const one = await connection.sobject('Lead').findOne({ Company: 'Engines' }, 'Id, Company');
    assert.equal(one.Company, 'Engines');
    const grouped = await connection.query('SELECT Company, COUNT(Id) many FROM Lead GROUP BY Company ORDER BY Company');
    assert.deepEqual(grouped.records.map((row) => [row.Company, row.many]), [['Engines', 2], ['Looms', 1]]);
  },

  async 'parents and children in one query'(org) {
    const connection = await org.connect();
    const account = await connection.sobject('Account').create({ Name: 'Engines' });
    await connection.sobject('Contact').create([1, 2].map((n) => ({ LastName: `C ${n}`, AccountId: account.id })));
    const contacts = await connection.sobject('Contact').find({}, 'Id, Account.Name, Account.Owner.Username');
    assert.deepEqual(contacts.map((one) => one.Account.Name), ['Engines', 'Engines']);
    assert.equal(contacts[0].Account.Owner.Username, 'admin@example.com');
    const accounts = await connection.sobject('Account').select('Name').include('Contacts').select('LastName').end();
    assert.deepEqual(accounts[0].Contacts.records.map((one) => one.LastName).sort(), ['C 1', 'C 2']);
  },

  async 'refused queries'(org) {
    const connection = await org.connect();
    await assert.rejects(connection.query('SELECT Nothing__c FROM Lead'), { name: 'INVALID_FIELD' });
    await assert.rejects(connection.query('SELECT Id FROM Nothing__c'), { name: 'INVALID_TYPE' });
    await assert.rejects(connection.query('SELECT Id FORM Lead'), { name: 'MALFORMED_QUERY' });
  },

  async 'search()'(org) {
    const connection = await org.connect();
    const { id } = await connection.sobject('Lead').create({ LastName: 'Waldo', Company: 'Engines', Email: 'waldo@example.com' });
    const found = await connection.search('FIND {Waldo} IN ALL FIELDS RETURNING Lead(Id, Email), Contact(Id)');
    assert.deepEqual(found.searchRecords.map((one) => [one.Id, one.Email]), [[id, 'waldo@example.com']]);
    assert.deepEqual((await connection.search('FIND {Nobody}')).searchRecords, []);
    await assert.rejects(connection.search('LOOK {Waldo}'), { name: 'MALFORMED_SEARCH' });
  },
};
