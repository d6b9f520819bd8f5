// How an app signs in with Microsoft's library for Node: by a secret, and a user by a code with PKCE, whose
// tokens are refreshed.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfidentialClientApplication, CryptoProvider, PublicClientApplication } from "@azure/msal-node";
import { auth, base, megan, megansTokens, ready, redirectUri, signIn } from "./identity.mjs";

async function graph(token, path) {
  const answer = await fetch(`${base}/v1.0${path}`, { headers: { Authorization: `Bearer ${token}` } });
  return answer.status;
}

const clients = {
  confidential: (tenant) => new ConfidentialClientApplication({ auth: auth(tenant, { clientSecret: ready.app.secret }) }),
  public: (tenant) => new PublicClientApplication({ auth: auth(tenant) }),
};

test("an app gets a token of its own by its secret", async () => {
  for (const tenant of [ready.tenant.id, ready.tenant.domain]) {
    const app = clients.confidential(tenant);
    const given = await app.acquireTokenByClientCredential({ scopes: ["https://graph.microsoft.com/.default"] });
    assert.equal(await graph(given.accessToken, "/users"), 200);
  }
});

for (const [kind, client] of Object.entries(clients)) {
  test(`a user of a ${kind} client signs in by a code, and tokens are refreshed`, async () => {
    for (const tenant of [ready.tenant.id, "common", "organizations"]) {
      const app = client(tenant);
      const given = await megansTokens(app, ["Mail.Read"]);
      assert.equal(given.account.username, megan.upn);
      assert.equal(given.account.homeAccountId, `${megan.id}.${ready.tenant.id}`);
      assert.equal(await graph(given.accessToken, "/me/messages"), 200);
      const cached = await app.acquireTokenSilent({ scopes: ["Mail.Read"], account: given.account });
      assert.equal(cached.accessToken, given.accessToken);
      const fresh = await app.acquireTokenSilent({ scopes: ["Mail.Read"], account: given.account, forceRefresh: true });
      assert.notEqual(fresh.accessToken, given.accessToken);
      assert.equal(await graph(fresh.accessToken, "/me/messages"), 200);
    }
  });
}

test("a code without its verifier is refused with Microsoft's number", async () => {
  const app = clients.public(ready.tenant.id);
  const { challenge } = await new CryptoProvider().generatePkceCodes();
  const asked = { scopes: ["Mail.Read"], redirectUri };
  const url = await app.getAuthCodeUrl({ ...asked, codeChallenge: challenge, codeChallengeMethod: "S256" });
  const code = (await signIn(url)).get("code");
  await assert.rejects(app.acquireTokenByCode({ ...asked, code }), (error) => error.message.includes("AADSTS501481"));
});
