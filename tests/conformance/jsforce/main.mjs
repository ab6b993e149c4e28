// Runs every check against one emulator, each finding the org as it started, and says how many passed.

import { ORG_CHECKS } from './checks_org.mjs';
import { LOGIN_CHECKS } from './checks_login.mjs';
import { BULK_CHECKS } from './checks_bulk2.mjs';
import { RECORD_CHECKS } from './checks_records.mjs';
import { QUERY_CHECKS } from './checks_query.mjs';
import { Org, startEmulator } from './emulator.mjs';

const CHECK_TIMEOUT_MS = 30_000;

function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${CHECK_TIMEOUT_MS} ms`)), CHECK_TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const emulator = await startEmulator(process.env.PIPELINE ?? 'pipeline');
let passed = 0;
let failed = 0;
try {
  const checks = { ...LOGIN_CHECKS, ...RECORD_CHECKS, ...QUERY_CHECKS, ...BULK_CHECKS, ...ORG_CHECKS };
  for (const [name, check] of Object.entries(checks)) {
    const org = new Org(emulator.url);
    try {
      await org.control('reset', {});
      await within(check(org));
      passed += 1;
      console.log(`ok      ${name}`);
    } catch (problem) {
      failed += 1;
      console.log(`FAILED  ${name}\n${problem.stack ?? problem}`);
    }
  }
} finally {
  await emulator.stop();
}
console.log(`${passed} passed, ${failed} failed`);
// Streams that a failed check left open must not keep the process.
process.exit(failed ? 1 : 0);
