// An OpenID Connect issuer that others wrote (oidc-provider, certified), for
// Lodge's tests, in two configurations that have little in common. It listens on
// loopback and lives as long as its standard input is open.
//
// The first line of input is its set-up, {"profile", "port", "client"}; each
// further one a wish of the test (below). Each line of output is an answer:
// {"url"} to the set-up, {"result"} or {"error"} to a wish.

import { createHash, generateKeyPairSync, randomUUID, webcrypto } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

// What oidc-provider uses and Node 18 lacks.
globalThis.crypto ??= webcrypto;
URL.parse ??= (input, base) => (URL.canParse(input, base) ? new URL(input, base) : null);
const { Provider } = await import('oidc-provider');

const scopeClaims = {
  openid: ['sub'],
  profile: ['name', 'given_name', 'family_name'],
  email: ['email'],
  eduperson: ['eduperson_affiliation', 'eduperson_scoped_affiliation', 'eduperson_entitlement'],
};

const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });

const profiles = {
  // As a careful institution would have it: elliptic curves, the secret in a
  // header, refresh tokens that are good once, claims at the UserInfo endpoint
  // alone, both ways of signing out, logout tokens that name the session.
  strict: {
    keys: () => [{ ...ec(), alg: 'ES256', use: 'sig', kid: randomUUID() }],
    client: {
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code', 'refresh_token'],
      id_token_signed_response_alg: 'ES256',
      backchannel_logout_session_required: true,
    },
    configuration: {
      conformIdTokenClaims: true,
      rotateRefreshToken: true,
      clientAuthMethods: ['client_secret_basic'],
      features: { rpInitiatedLogout: { enabled: true } },
    },
  },
  // As an older one might: RSA (PSS), the secret in the form, another subject for
  // each client, claims inside the ID token, no refresh, no sign-out page, logout
  // tokens that name the subject alone.
  plain: {
    keys: () => [
      { ...rsa(), alg: 'RS256', use: 'sig', kid: randomUUID() },
      { ...rsa(), alg: 'PS256', use: 'sig', kid: randomUUID() },
    ],
    client: {
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['authorization_code'],
      id_token_signed_response_alg: 'PS256',
      subject_type: 'pairwise',
      backchannel_logout_session_required: false,
    },
    configuration: {
      conformIdTokenClaims: false,
      subjectTypes: ['pairwise'],
      clientAuthMethods: ['client_secret_post'],
      features: { rpInitiatedLogout: { enabled: false }, userinfo: { enabled: false } },
    },
  },
};

let setup; // the first line of input
let issuer; // the issuer's URL
let keys; // the private keys, the one that signs first
let provider; // answers with these keys; replaced by one that has others
const accounts = new Map(); // claims by account
const cookieKey = randomUUID();

const pairwise = (account, client) => createHash('sha256').update(`${client}\n${account}`).digest('base64url');

function newProvider() {
  const { client, configuration } = profiles[setup.profile];
  const made = new Provider(issuer, {
    ...configuration,
    clients: [{ ...client, ...setup.client, response_types: ['code'] }],
    claims: scopeClaims,
    scopes: ['openid', 'offline_access'],
    cookies: { keys: [cookieKey] },
    jwks: { keys },
    pkce: { required: () => true },
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256', 'PS256'] },
    features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true }, ...configuration.features },
    findAccount: (_, id) => (accounts.has(id) ? { accountId: id, claims: () => ({ ...accounts.get(id), sub: id }) } : undefined),
    pairwiseIdentifier: (_, account, of) => pairwise(account, of.clientId),
    // It refuses loopback addresses otherwise, where the tests' Lodge is.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 86400, IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
  });
  for (const event of ['server_error', 'grant.error', 'authorization.error', 'backchannel.error', 'end_session.error', 'userinfo.error']) {
    made.on(event, (_, error) => console.error(`${event}: ${error.error_description ?? ''} ${error.stack}`));
  }
  return made;
}

// What a test may wish for.
const wishes = {
  // {"account", "claims"}: the account is there, and this is true of it now.
  account: ({ account, claims }) => { accounts.set(account, claims); },
  // {}: it signs with new keys from now on; the old ones are published no more.
  rotate: () => { keys = profiles[setup.profile].keys(); provider = newProvider(); },
  // {"account", "session"}: it tells the client that the account has left.
  logout: async ({ account, session }) => {
    const client = await provider.Client.find(setup.client.client_id);
    await client.backchannelLogout(account, session);
  },
};

const answer = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function start(line) {
  setup = JSON.parse(line);
  const server = createServer((req, res) => provider.callback()(req, res));
  await new Promise((done, failed) => { server.once('error', failed).listen(setup.port, '127.0.0.1', done); });
  issuer = `http://127.0.0.1:${server.address().port}`;
  keys = profiles[setup.profile].keys();
  provider = newProvider();
  answer({ url: issuer });
}

for await (const line of createInterface({ input: process.stdin })) {
  if (!setup) {
    await start(line);
    continue;
  }
  try {
    const { do: name, ...what } = JSON.parse(line);
    answer({ result: (await wishes[name](what)) ?? null });
  } catch (error) {
    answer({ error: String(error) });
  }
}
process.exit(0);
