// Events that a running server pushes to a webhook, read there by CloudEvents' own library, in each of HTTP's modes.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { EventEmitter, on } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { HTTP } from "cloudevents";
import { base, megan, ready } from "./identity.mjs";
import { appsToken, asked, azure, manage, resourceGroup } from "./topics.mjs";

// What an event subscription says of its webhook.
const MODES = { structured: {}, batch: { maxEventsPerBatch: 10 }, binary: { contentMode: "Binary" } };
const CHANGES = ["Created", "Deleted", "Updated"].map((change) => `Microsoft.Graph.Message${change}`);
const ARRIVES_MS_MAX = 20_000;
const topic = `push-${randomUUID().slice(0, 20)}`;
let hooks;
let key;

// A webhook as an app makes it: it consents to be pushed to, and keeps what the library reads.
class Hook extends EventEmitter {
  consents = 0;
  events = [];
  contentTypes = new Set();
  unread = [];

  static async open(mode) {
    const hook = Object.assign(new Hook(), { mode });
    hook.server = createServer((request, response) => hook.answer(request, response));
    await new Promise((resolve) => hook.server.listen(0, "127.0.0.1", resolve));
    hook.url = `http://127.0.0.1:${hook.server.address().port}/hook`;
    return hook;
  }

  async answer(request, response) {
    const { method, headers } = request;
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (method === "OPTIONS") {
      this.consents += 1;
      response.writeHead(200, { "WebHook-Allowed-Origin": headers["webhook-request-origin"] }).end();
      return;
    }
    response.writeHead(202).end();
    this.keep(headers, Buffer.concat(chunks));
    this.emit("kept");
  }

  keep(headers, body) {
    this.contentTypes.add(headers["content-type"]);
    // As a web framework hands it over: text where the headers say so.
    const isBytes = headers["content-type"] === "application/octet-stream";
    try {
      this.events.push(...[HTTP.toEvent({ headers, body: isBytes ? body : body.toString("utf8") })].flat());
    } catch (error) {
      this.unread.push(error);
    }
  }

  // So many events of those that are meant, in the order of their types and subjects; no others came.
  async first(count, among) {
    const meant = () => this.events.filter(among);
    if (meant().length < count) {
      for await (const _ of on(this, "kept", { signal: AbortSignal.timeout(ARRIVES_MS_MAX) })) {
        if (this.unread.length > 0 || meant().length >= count) break;
      }
    }
    assert.deepEqual(this.unread, []);
    assert.equal(meant().length, count);
    const order = ({ type, subject }) => `${type} ${subject}`;
    return meant().sort((one, other) => (order(one) < order(other) ? -1 : 1));
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  assertCameAs(ofBinary) {
    const expected = {
      structured: ["application/cloudevents+json; charset=utf-8"],
      batch: ["application/cloudevents-batch+json; charset=utf-8"],
      binary: ofBinary,
    };
    for (const contentType of expected[this.mode]) assert.ok(this.contentTypes.has(contentType), contentType);
    if (this.mode !== "binary") assert.equal(this.contentTypes.size, 1);
  }
}

before(async () => {
  await manage(topic, "PUT", "", { location: "westeurope", properties: { activationState: "Activated" } });
  ({ key1: key } = await manage(topic, "POST", "/listKeys"));
  hooks = await Promise.all(Object.keys(MODES).map((mode) => Hook.open(mode)));
  for (const hook of hooks) {
    const properties = { endpointUrl: hook.url, ...MODES[hook.mode] };
    const wanted = { properties: { destination: { endpointType: "WebHook", properties } } };
    const made = await manage(topic, "PUT", `/eventSubscriptions/${hook.mode}`, wanted);
    assert.deepEqual([made.properties.provisioningState, hook.consents], ["Succeeded", 1]);
  }
});

after(async () => {
  await manage(topic, "DELETE", "");
  for (const hook of hooks) hook.close();
});

async function graph(method, path, body) {
  return asked(method, `${base}/v1.0${path}`, await appsToken("https://graph.microsoft.com"), body);
}

test("changes of a mailbox are read as they happened", async () => {
  const subscription = await graph("POST", "/subscriptions", {
    changeType: "created,updated,deleted",
    resource: `users/${megan.id}/messages`,
    notificationUrl:
      `EventGrid:?azuresubscriptionid=${azure}&resourcegroup=${resourceGroup}` +
      `&partnertopic=${topic}&location=westeurope`,
    clientState: "s3cret",
    expirationDateTime: new Date(Date.now() + 3_600_000).toISOString(),
  });
  const messages = `/users/${megan.id}/messages`;
  const created = await graph("POST", messages, { subject: "Grüße" });
  const updated = await graph("PATCH", `${messages}/${created.id}`, { isRead: true });
  await graph("DELETE", `${messages}/${created.id}`);
  const etags = [created["@odata.etag"], undefined, updated["@odata.etag"]];
  const ids = [];
  for (const hook of hooks) {
    const events = await hook.first(3, ({ subject }) => subject === `Messages/${created.id}`);
    assert.deepEqual(events.map(({ type }) => type), CHANGES);
    hook.assertCameAs(["application/json"]);
    events.forEach(({ source, datacontenttype, time, data }, place) => {
      assert.equal(source, `/tenants/${ready.tenant.id}/applications/${ready.app.id}`);
      assert.equal(datacontenttype, "application/json");
      assert.ok(Math.abs(Date.now() - Date.parse(time)) < 300_000);
      assert.deepEqual([data.subscriptionId, data.clientState], [subscription.id, "s3cret"]);
      assert.ok(data.resource.includes(created.id));
      if (etags[place]) assert.equal(data.resourceData["@odata.etag"], etags[place]);
    });
    ids.push(events.map(({ id }) => id));
  }
  assert.deepEqual(ids, hooks.map(() => ids[0]));
  await graph("DELETE", `/subscriptions/${subscription.id}`);
});

test("what an app published is read with its data", async () => {
  const sent = [
    { subject: "a 100 % Grüße \"世界\"", data: { größe: 1.5 }, dataContentType: "application/json" },
    { subject: "b", data: { deep: [{ a: null }] }, dataContentType: "application/vnd.sdk+json" },
    { subject: "c", data: "zwölf\n", dataContentType: "text/plain; charset=utf-8" },
    { subject: "d", data: new Uint8Array(256).map((_, place) => place), dataContentType: "application/octet-stream" },
  ];
  // Microsoft's client leaves extensions out.
  const event = ({ subject, data, dataContentType }, place) => ({
    specversion: "1.0",
    id: `published-${place}`,
    source: "/sdk",
    type: "Sdk.Told",
    subject,
    more: `über ${subject}`,
    datacontenttype: dataContentType,
    ...(ArrayBuffer.isView(data) ? { data_base64: Buffer.from(data).toString("base64") } : { data }),
  });
  const answer = await fetch(`${base}/topics/${topic}:publish?api-version=2024-06-01`, {
    method: "POST",
    headers: { "aeg-sas-key": key, "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify(sent.map(event)),
  });
  assert.equal(answer.status, 200, await answer.text());
  for (const hook of hooks) {
    // The library leaves the values of headers encoded, and data of a JSON type other than application/json as text.
    const isBinary = hook.mode === "binary";
    const text = isBinary ? decodeURIComponent : (value) => value;
    const told = (type, data) => (isBinary && type === "application/vnd.sdk+json" ? JSON.parse(data) : data);
    const events = await hook.first(4, ({ source }) => source === "/sdk");
    const read = events.map(({ subject, more, datacontenttype, data }) => [
      text(subject),
      text(more),
      datacontenttype,
      typeof data === "string" || !ArrayBuffer.isView(data) ? told(datacontenttype, data) : Uint8Array.from(data),
    ]);
    const expected = sent.map((one) => [one.subject, `über ${one.subject}`, one.dataContentType, one.data]);
    assert.deepEqual(read, expected, hook.mode);
    hook.assertCameAs(sent.map(({ dataContentType }) => dataContentType));
  }
});
