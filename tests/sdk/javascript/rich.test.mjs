// Notifications with resource data as an app receives them that was written from the documentation alone, with
// nothing but Node's `crypto`.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import crypto from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, test } from "node:test";
import { Authority, decrypted, encrypted, Hook, opened, Pair, Refused, sealed, signature } from "./rich.mjs";

const ready = JSON.parse(readFileSync(process.env.TIDINGS_READY, "utf8"));
const base = ready.https[0].replace("127.0.0.1", "localhost");
const tenant = ready.tenant.id;
const mailbox = `/users/${ready.users[1].id}`;
const otherApp = "7b1fd1ea-0000-4000-8000-000000000002";
// What is selected, written, and written over it.
const kinds = {
  messages: [
    "subject,bodyPreview,importance,isRead,categories,toRecipients,createdDateTime",
    {
      subject: "Grüße 🌊",
      body: { contentType: "text", content: "the tide comes in" },
      importance: "low",
      categories: ["Green"],
      toRecipients: [{ emailAddress: { name: "Alex", address: "alex@contoso.test" } }],
    },
    { subject: "the tide goes out", isRead: true },
  ],
  events: [
    "subject,start,end,sensitivity,recurrence,organizer",
    {
      subject: "high water",
      start: { dateTime: "2026-03-02T09:00:00", timeZone: "UTC" },
      end: { dateTime: "2026-03-02T10:00:00", timeZone: "UTC" },
      sensitivity: "private",
    },
    { subject: "low water" },
  ],
  contacts: [
    "displayName,emailAddresses,homeAddress,birthday",
    {
      displayName: "Ada Ólafs",
      emailAddresses: [{ name: "Ada", address: "ada@example.org" }],
      homeAddress: { city: "Reykjavík" },
      birthday: "1990-12-10T00:00:00Z",
    },
    { displayName: "Ada Ólafsdóttir" },
  ],
};
// A certificate of either size that Graph takes, made once for all tests.
const pairs = { 2048: new Pair("rsa-2048", 2048), 4096: new Pair("rsa-4096", 4096) };

// JSON without the annotations that say what type something has.
const plain = (json) =>
  JSON.parse(json, (name, value) => {
    if (!value || typeof value !== "object" || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).filter(([name]) => !name.includes("@odata.")));
  });

async function post(url, body, headers) {
  const answer = await fetch(url, { method: "POST", body, headers });
  assert.ok(answer.ok, `${url}: ${answer.status}`);
  return answer.json();
}

// An app that calls Graph with a token of its own.
class App {
  static async of(id, secret) {
    const form = { grant_type: "client_credentials", scope: "https://graph.microsoft.com/.default" };
    const body = new URLSearchParams({ ...form, client_id: id, client_secret: secret });
    const { access_token } = await post(`${base}/${tenant}/oauth2/v2.0/token`, body);
    return Object.assign(new App(), { id, token: access_token });
  }

  async call(method, path, status, body) {
    const headers = { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" };
    const answer = await fetch(`${base}/v1.0${path}`, { method, headers, body: body && JSON.stringify(body) });
    const text = await answer.text();
    assert.equal(answer.status, status, `${method} ${path}: ${text}`);
    return text ? JSON.parse(text) : undefined;
  }
}

// An app whose tokens are of version 2.
async function secondApp() {
  const headers = { Authorization: `Bearer ${ready.adminToken}`, "Content-Type": "application/json" };
  const asked = { displayName: "Second", tenant, accessTokenVersion: 2, secret: {} };
  const { appId, secret } = await post(`${ready.admin}/admin/apps`, JSON.stringify(asked), headers);
  const granted = { appId, grantee: "app", permissions: ["Mail.ReadWrite"] };
  await post(`${ready.admin}/admin/consents/grant`, JSON.stringify(granted), headers);
  return App.of(appId, secret);
}

describe("rich notifications", () => {
  let app, authority, hook, subscriptions;

  beforeEach(async () => {
    app ??= await App.of(ready.app.id, ready.app.secret);
    authority ??= await Authority.at(base);
    [hook, subscriptions] = [await Hook.open(), []];
  });

  afterEach(async () => {
    for (const [who, id] of subscriptions) await who.call("DELETE", `/subscriptions/${id}`, 204);
    hook.close();
  });

  async function subscribed(resource, pair, { by = app, ...more } = {}) {
    const made = await by.call("POST", "/subscriptions", 201, {
      changeType: "created,updated,deleted",
      notificationUrl: hook.url,
      resource: mailbox + resource,
      expirationDateTime: new Date(Date.now() + 3_600_000).toISOString(),
      clientState: "s3cret",
      includeResourceData: true,
      ...pair.asked(),
      ...more,
    });
    subscriptions.push([by, made.id]);
    return made;
  }

  const written = async (kind, body) => (await app.call("POST", `${mailbox}/${kind}`, 201, body)).id;

  // What the notification of a change brings, once its token and itself have been verified.
  async function data(changeType, id, pair, audience = app.id) {
    const { notification, body } = await hook.told(changeType, id);
    assert.deepEqual([notification.tenantId, notification.clientState], [tenant, "s3cret"]);
    for (const token of body.validationTokens) authority.verified(token, tenant, audience);
    return plain(opened(notification.encryptedContent, [pair]));
  }

  for (const [kind, [select, first, second]] of Object.entries(kinds)) {
    for (const [bits, pair] of Object.entries(pairs)) {
      test(`${kind} arrive sealed with RSA-${bits} and signed`, async () => {
        await subscribed(`/${kind}?$select=${select}`, pair);
        const id = await written(kind, first);
        const path = `${mailbox}/${kind}/${id}`;
        for (const change of ["created", "updated"]) {
          if (change === "updated") await app.call("PATCH", path, 200, second);
          const read = await app.call("GET", `${path}?$select=${select}`, 200);
          const arrived = await data(change, id, pair);
          const shown = select.split(",").map((name) => [name, read[name]]);
          assert.deepEqual(arrived, plain(JSON.stringify(Object.fromEntries(shown))));
          assert.equal(arrived.subject ?? arrived.displayName, Object.values(change === "created" ? first : second)[0]);
        }
        await app.call("POST", `${path}/permanentDelete`, 204);
        const { notification } = await hook.told("deleted", id);
        assert.equal(notification.encryptedContent, undefined);
      });
    }
  }

  test("a rotated certificate seals what comes after it", async () => {
    const [old, next] = [pairs[2048], new Pair("next")];
    const { id } = await subscribed("/messages?$select=subject", old);
    const before = await written("messages", { subject: "before" });
    assert.deepEqual(await data("created", before, old), { subject: "before" });
    await app.call("PATCH", `/subscriptions/${id}`, 200, next.asked());
    const after = await written("messages", { subject: "after" });
    assert.deepEqual(await data("created", after, next), { subject: "after" });
    await assert.rejects(data("created", after, old), new Refused("certificate id"));
  });

  test("the audience is the app of the URL if the subscription names one", async () => {
    await subscribed("/messages?$select=subject", pairs[2048], { notificationUrlAppId: otherApp });
    const id = await written("messages", { subject: "for another" });
    assert.deepEqual(await data("created", id, pairs[2048], otherApp), { subject: "for another" });
    await assert.rejects(data("created", id, pairs[2048]), new Refused("audience"));
  });

  test("an app whose tokens are of version 2 gets such a validation token", async () => {
    const second = await secondApp();
    await subscribed("/messages?$select=subject", pairs[2048], { by: second });
    const id = await written("messages", { subject: "for the second" });
    assert.deepEqual(await data("created", id, pairs[2048], second.id), { subject: "for the second" });
    const { body } = await hook.told("created", id);
    const claims = authority.verified(body.validationTokens[0], tenant, second.id);
    assert.deepEqual([claims.ver, claims.exp - claims.iat], ["2.0", 86_700]);
  });

  test("a token is refused that was altered or is for another tenant", async () => {
    await subscribed("/messages?$select=subject", pairs[2048]);
    const id = await written("messages", { subject: "whose" });
    const [token] = (await hook.told("created", id)).body.validationTokens;
    const [head, body, mark] = token.split(".");
    const forged = Buffer.from(Buffer.from(body, "base64url").toString().replace('"1.0"', '"1.1"')).toString("base64url");
    assert.throws(() => authority.verified(`${head}.${forged}.${mark}`, tenant, app.id), new Refused("signature"));
    assert.throws(() => authority.verified(token, otherApp, app.id), new Refused("issuer"));
  });

  test("the receiver that apps link opens what is sealed here", async () => {
    await subscribed("/messages?$select=subject", pairs[2048]);
    const id = await written("messages", { subject: "genuine" });
    const { notification, body } = await hook.told("created", id);
    const pair = new Pair("example");
    const linked = await linkedReceiver(pair);
    try {
      const [content, other] = [sealed('{"subject":"Grüße 🌊"}', pair), sealed("{}", pair)];
      const told = (changed) => {
        // By its id it would be known for one that came before.
        const sent = { ...notification, id: crypto.randomUUID(), encryptedContent: { ...content, ...changed } };
        return linked.told({ ...body, value: [sent] });
      };
      assert.equal(await told({}), 'created {"subject":"Grüße 🌊"}');
      assert.match(await told({ data: other.data }), /dataSignature is not that of data/);
      assert.match(await told({ dataKey: other.dataKey }), /dataSignature is not that of data/);
      assert.match(await told({ data: content.data.slice(0, -4) }), /which are not whole blocks/);
      assert.match(await told({ encryptionCertificateId: "another" }), /sealed for the certificate "another"/);
    } finally {
      linked.close();
    }
  });
});

test("the symmetric half is that of known values", () => {
  const key = Buffer.from([...Array(32).keys()]);
  const text = '{"subject":"hello","isRead":false}';
  const data = encrypted(key, text);
  assert.equal(data.toString("base64"), "1zpEyrjj8gXj4NNiydWs8hD51JXvl4fIRNX3imryg8c+ecvKH0WS4xjbTUB2uoDr");
  assert.equal(signature(key, data).toString("base64"), "OgkMxZl4VlpDr9/w/I8gY+XTJG9Y2gPD2GqIHzZV2Rg=");
  assert.equal(decrypted(key, data), text);
});

test("damage is refused at its step", () => {
  const pair = pairs[2048];
  const [content, other] = [sealed("the item", pair), sealed("the item", pair)];
  assert.equal(opened(content, [pair]), "the item");
  for (const [member, value, step] of [
    ["data", other.data, "signature"],
    ["dataKey", other.dataKey, "signature"],
    ["dataKey", Buffer.alloc(256, 1).toString("base64"), "key"],
    ["dataSignature", other.dataSignature, "signature"],
    ["encryptionCertificateId", "another", "certificate id"],
    ["encryptionCertificateThumbprint", "00".repeat(20), "thumbprint"],
  ]) {
    assert.throws(() => opened({ ...content, [member]: value }, [pair]), new Refused(step), member);
  }
});

// A file with a pair's private key, and how to remove it.
function keyFile(pair, type) {
  const directory = mkdtempSync(join(tmpdir(), "rich-"));
  const key = join(directory, "key.pem");
  writeFileSync(key, pair.privateKey.export({ type, format: "pem" }));
  return { key, remove: () => rmSync(directory, { recursive: true }) };
}

// A receiver made with the crate that apps link: the example that prints the data which comes with notifications.
async function linkedReceiver(pair) {
  const { key, remove } = keyFile(pair, "pkcs8");
  const options = ["127.0.0.1:0", base, ready.ca, ready.app.id, `${pair.name}=${key}`];
  const child = spawn(process.env.TIDINGS_RECEIVER, options, { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const line = () => once(lines, "line", { signal: AbortSignal.timeout(20_000) });
  const url = (await line())[0].replace("listening at ", "");
  return {
    async told(body) {
      const [answer, [printed]] = await Promise.all([fetch(url, { method: "POST", body: JSON.stringify(body) }), line()]);
      assert.equal(answer.status, 202);
      return printed;
    },
    close() {
      child.kill();
      remove();
    },
  };
}

// What the program opens with a pair's private key, and what it says.
function decrypt(content, pair, type = "pkcs8") {
  const { key, remove } = keyFile(pair, type);
  try {
    const body = JSON.stringify({ value: [{ changeType: "created", encryptedContent: content }] });
    const { status, stdout, stderr } = spawnSync(process.env.TIDINGS_PROGRAM, ["decrypt", "--key", key, "-"], { input: body });
    return { status, opened: stdout.toString(), said: stderr.toString() };
  } finally {
    remove();
  }
}

test("the program opens what is sealed here", () => {
  const item = { subject: "Grüße 🌊", isRead: false, bodyPreview: "x".repeat(1000) };
  for (const pair of Object.values(pairs)) {
    for (const type of ["pkcs8", "pkcs1"]) {
      const { status, opened, said } = decrypt(sealed(JSON.stringify(item), pair), pair, type);
      assert.equal(status, 0, said);
      assert.deepEqual(JSON.parse(opened), item);
    }
  }
});

test("the program says at which step damage shows", () => {
  const pair = pairs[2048];
  const [content, other] = [sealed('{"subject":"hello"}', pair), sealed('{"subject":"hello"}', pair)];
  for (const [member, value, step] of [
    ["data", other.data, "step 3"],
    ["dataKey", other.dataKey, "step 3"],
    ["dataSignature", other.dataSignature, "step 3"],
    ["dataKey", Buffer.alloc(256).toString("base64"), "step 1"],
    ["data", content.data.slice(0, -4), "step 2"],
  ]) {
    const { status, opened, said } = decrypt({ ...content, [member]: value }, pair);
    assert.deepEqual([status, opened], [1, ""], said);
    assert.ok(said.includes(`${step} (`), said);
  }
  const { said } = decrypt(sealed("{}", pairs[4096]), pair);
  assert.ok(said.includes("an RSA key of 4096 bits"), said);
});
