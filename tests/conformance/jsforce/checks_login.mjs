// Logging in and out, and what happens when a session ends in between.

import assert from 'node:assert/strict';
import { ADMIN, APP } from './emulator.mjs';

const USER_ID = /^005[A-Za-z0-9]{15}$/;
const ORG_ID = /^00D[A-Za-z0-9]{15}$/;

export const LOGIN_CHECKS = {
  async 'login() over SOAP'(org) {
    const connection = org.connection();
    const user = await connection.login(...ADMIN);
    assert.match(user.id, USER_ID);
    assert.match(user.organizationId, ORG_ID);
    assert.equal(connection.instanceUrl, org.url);
    assert.equal((await connection.query('SELECT Id FROM Lead')).totalSize, 0);
  },

  async 'login() over SOAP with a wrong password and without the token'(org) {
    await assert.rejects(org.connection().login('admin@example.com', 'wrong'), {
      message: 'INVALID_LOGIN: Invalid username, password, security token; or user locked out.',
    });
    await assert.rejects(org.connection().login('admin@example.com', 'password'), /^Error: LOGIN_MUST_USE_SECURITY_TOKEN: /);
  },

  async 'login() over SOAP in a version that has it no more'(org) {
    await assert.rejects(org.connection({ version: '65.0' }).login(...ADMIN), /UNSUPPORTED_API_VERSION/);
  },

  async 'login() over SOAP with an expired password'(org) {
    await assert.rejects(org.connection().login('late@example.com', 'old'), /password has expired/);
  },

  async 'login() over SOAP escapes the password'(org) {
    await org.connection().login('trusted@example.com', 'p&ss<word>');
  },

  async 'logout() over SOAP ends the session'(org) {
    const connection = org.connection();
    await connection.login(...ADMIN);
    const { accessToken } = connection;
    await connection.logout();
    assert.equal(connection.accessToken, null);
    const late = org.connection({ instanceUrl: org.url, accessToken });
    await assert.rejects(late.query('SELECT Id FROM Lead'), { name: 'INVALID_SESSION_ID' });
    late._sessionType = 'soap';
    await assert.rejects(late.logout(), /INVALID_SESSION_ID: Invalid Session ID found in SessionHeader/);
  },

  async 'login() over OAuth'(org) {
    const connection = await org.connect();
    assert.match(connection.userInfo.id, USER_ID);
    assert.equal(connection.userInfo.url, `${org.url}/id/${connection.userInfo.organizationId}/${connection.userInfo.id}`);
    assert.equal((await connection.query('SELECT Id FROM Lead')).totalSize, 0);
  },

  async 'login() over OAuth is refused by its own error names'(org) {
    const wrong = org.connection({ oauth2: { loginUrl: org.url, ...APP } });
    await assert.rejects(wrong.login('admin@example.com', 'wrong'), { name: 'invalid_grant', message: 'authentication failure' });
    const unknown = org.connection({ oauth2: { loginUrl: org.url, clientId: 'no', clientSecret: 'no' } });
    await assert.rejects(unknown.login(...ADMIN), { name: 'invalid_client_id', message: 'client identifier invalid' });
  },

  async 'authorize() by client credentials'(org) {
    const connection = org.connection({ oauth2: { loginUrl: org.url, clientId: 'app', clientSecret: 'app-secret' } });
    await connection.authorize({ grant_type: 'client_credentials' });
    assert.equal((await connection.identity()).username, 'trusted@example.com');
  },

  async 'authorize() by a grant that does not exist'(org) {
    const connection = org.connection({ oauth2: { loginUrl: org.url, ...APP } });
    await assert.rejects(connection.authorize({ grant_type: 'nothing' }), { name: 'unsupported_grant_type' });
  },

  async 'logout() over OAuth revokes the token'(org) {
    const connection = await org.connect();
    const { accessToken } = connection;
    await connection.logout();
    const late = org.connection({ instanceUrl: org.url, accessToken });
    await assert.rejects(late.query('SELECT Id FROM Lead'), { name: 'INVALID_SESSION_ID', message: 'Session expired or invalid' });
  },

  async 'an ended session is renewed by username and password'(org) {
    const connections = [org.connection(), org.connection({ oauth2: { loginUrl: org.url, ...APP } })];
    for (const connection of connections) {
      await connection.login(...ADMIN);
      const before = connection.accessToken;
      await org.control('sessions', { kill: true });
      const calls = [1, 2, 3].map(() => connection.query('SELECT Id FROM Lead'));
      for (const result of await Promise.all(calls)) assert.equal(result.done, true);
      assert.notEqual(connection.accessToken, before);
    }
  },

  async 'an ended session is renewed by a refresh token'(org) {
    const connection = org.connection({ oauth2: { loginUrl: org.url, ...APP } });
    const [username, password] = ADMIN;
    await connection.authorize({ grant_type: 'password', username, password });
    assert.ok(connection.refreshToken);
    const renewed = [];
    connection.on('refresh', (token) => renewed.push(token));
    await org.control('sessions', { kill: true });
    assert.equal((await connection.query('SELECT Id FROM Lead')).done, true);
    assert.deepEqual(renewed, [connection.accessToken]);
    await connection.logout(true);
    const forgotten = org.connection({
      oauth2: { loginUrl: org.url, ...APP },
      instanceUrl: org.url,
      accessToken: 'ended',
      refreshToken: 'forgotten',
    });
    await assert.rejects(forgotten.query('SELECT Id FROM Lead'), /^Error: Unable to refresh session due to: expired access\/refresh token/);
  },

  async 'identity() by the login and by the resources'(org) {
    const connection = await org.connect();
    const identity = await connection.identity();
    assert.equal(identity.username, 'admin@example.com');
    assert.equal(identity.user_id, connection.userInfo.id);
    assert.match(identity.urls.query, /\/services\/data\/v\{version\}\/query\/$/);
    const { accessToken } = connection;
    const direct = org.connection({ instanceUrl: org.url, accessToken });
    assert.equal((await direct.identity()).user_id, identity.user_id);
    assert.equal(direct.userInfo.organizationId, identity.organization_id);
    const info = await direct.request('/services/oauth2/userinfo');
    assert.equal(info.preferred_username, 'admin@example.com');
    const user = await direct.sobject('User').retrieve(info.user_id);
    assert.equal(user.Username, 'admin@example.com');
    assert.equal((await direct.sobject('Profile').retrieve(user.ProfileId)).Name, 'System Administrator');
    assert.equal((await direct.sobject('Organization').retrieve(info.organization_id)).Id, info.organization_id);
  },
};
