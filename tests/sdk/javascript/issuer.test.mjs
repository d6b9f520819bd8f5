// Whom the server lets in with a token of another identity provider, npm `oidc-provider`.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Issuer, megan, Server } from "./issuer.mjs";

const mailbox = `/users/${megan.id}/messages`;
let issuer;
let server;

before(async () => {
  issuer = await Issuer.start();
  issuer.signWith("first", "RS256");
  server = await Server.start(issuer);
});

after(async () => {
  await server?.stop();
  issuer?.close();
});

test("an app reads a mailbox with a token that the provider gave it for itself", async () => {
  const answer = await server.get(mailbox, await issuer.appToken("Mail.ReadWrite"));
  assert.equal(answer.status, 200, JSON.stringify(answer.json));
  assert.deepEqual(answer.json.value, []);
  assert.equal((await server.get(mailbox, await issuer.appToken("User.Read"))).status, 403);
});

test("a user reads the own mailbox, and nobody is let in who is not in the directory", async () => {
  const token = await issuer.userToken(megan.id, "Mail.ReadWrite User.Read");
  const me = await server.get("/me", token);
  assert.equal(me.json.userPrincipalName, megan.address, JSON.stringify(me.json));
  assert.equal((await server.get("/me/messages", token)).status, 200);
  const stranger = await issuer.userToken("00000000-0000-4000-8000-000000000007", "Mail.ReadWrite");
  assert.equal((await server.get("/me/messages", stranger)).status, 401);
});

test("the next key is found when a token names it, and the one of before verifies nothing", async () => {
  const old = await issuer.appToken("Mail.ReadWrite");
  assert.equal((await server.get(mailbox, old)).status, 200);
  const asked = () => issuer.requests.filter((url) => url === "/jwks").length;
  const before = asked();
  issuer.signWith("second", "ES256");
  const next = await issuer.appToken("Mail.ReadWrite");
  assert.equal((await server.get(mailbox, next)).status, 200);
  assert.equal((await server.get(mailbox, old)).status, 401);
  assert.equal(asked(), before + 1);
});
