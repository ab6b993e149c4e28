// The emulator in a process of its own, and what a check asks of it beside the client it is about.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import jsforce from 'jsforce';

const ORG = fileURLToPath(new URL('../org.yaml', import.meta.url));
const LISTENING = /emulator listening on (http:\/\/\S+)/;
const START_TIMEOUT_MS = 30_000;

export const ADMIN = ['admin@example.com', 'passwordtoken'];
export const APP = { clientId: 'key', clientSecret: 'secret' };
export const VERSION = '62.0';

/** Start `pipeline emulator` on a free port; resolve to its address and a function that ends it. */
export async function startEmulator(command) {
  const child = spawn(command, ['emulator', '--port', '0', '--org', ORG], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  try {
    const url = await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('the emulator did not start')), START_TIMEOUT_MS);
      child.once('error', reject);
      child.once('close', (code) => reject(new Error(`the emulator ended with ${code}`)));
      let output = '';
      child.stdout.on('data', (data) => {
        output += data;
        const found = LISTENING.exec(output);
        if (found) {
          clearTimeout(timer);
          resolve(found[1]);
        }
      });
    });
    return { url, stop };
  } catch (problem) {
    await stop();
    throw problem;
  }
}

/** One emulated org as a check sees it. */
export class Org {
  constructor(url) {
    this.url = url;
  }

  /** Send JSON to the control API. */
  async control(what, body) {
    const reply = await fetch(`${this.url}/_emulator/${what}`, { method: 'POST', body: JSON.stringify(body) });
    if (!reply.ok) throw new Error(`${what}: ${reply.status} ${await reply.text()}`);
    return reply.json();
  }

  async apiCalls() {
    return (await (await fetch(`${this.url}/_emulator/stats`)).json()).api_calls;
  }

  /** A connection that is not logged in. */
  connection(config = {}) {
    return new jsforce.Connection({ loginUrl: this.url, version: VERSION, logLevel: 'NONE', ...config });
  }

  /** A connection logged in by username and password over OAuth. */
  async connect(config = {}) {
    const connection = this.connection({ oauth2: { loginUrl: this.url, ...APP }, ...config });
    await connection.login(...ADMIN);
    return connection;
  }
}
