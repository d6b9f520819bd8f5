// What an app sees that pulls from a partner topic with Microsoft's client for Event Grid's namespaces.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { AzureKeyCredential } from "@azure/core-auth";
import { EventGridReceiverClient, EventGridSenderClient } from "@azure/eventgrid-namespaces";
import { base, ready } from "./identity.mjs";
import { manage } from "./topics.mjs";

const topic = `js-${randomUUID().slice(0, 20)}`;
const managed = (method, path, body) => manage(topic, method, path, body);
let key;

before(async () => {
  await managed("PUT", "", { location: "westeurope", properties: { activationState: "Activated" } });
  const properties = { deliveryConfiguration: { deliveryMode: "Queue" } };
  await managed("PUT", "/eventSubscriptions/worker", { properties });
  ({ key1: key } = await managed("POST", "/listKeys"));
});

after(() => managed("DELETE", ""));

const event = (number) => ({ type: "Sdk.Told", source: "/sdk", data: { number }, subject: `s/${number}` });

const clients = (endpoint, options) => [
  new EventGridSenderClient(endpoint, new AzureKeyCredential(key), topic, options),
  new EventGridReceiverClient(endpoint, new AzureKeyCredential(key), topic, "worker", options),
];

test("events are received, acknowledged, released, rejected and renewed", async () => {
  const [sender, receiver] = clients(base);
  await sender.sendEvents([0, 1, 2, 3].map(event));
  const { details } = await receiver.receiveEvents({ maxEvents: 10, maxWaitTime: 10 });
  assert.deepEqual(details.map(({ event }) => event.data.number), [0, 1, 2, 3]);
  const [first, second, third, fourth] = details.map(({ brokerProperties }) => brokerProperties.lockToken);
  const done = await receiver.acknowledgeEvents([first]);
  assert.deepEqual([done.succeededLockTokens, done.failedLockTokens], [[first], []]);
  assert.deepEqual((await receiver.renewEventLocks([second])).succeededLockTokens, [second]);
  assert.deepEqual((await receiver.rejectEvents([third])).succeededLockTokens, [third]);
  assert.deepEqual((await receiver.releaseEvents([fourth])).succeededLockTokens, [fourth]);
  const again = await receiver.receiveEvents({ maxEvents: 10, maxWaitTime: 10 });
  assert.deepEqual(
    again.details.map(({ event, brokerProperties }) => [event.data.number, brokerProperties.deliveryCount]),
    [[3, 2]],
  );
  await receiver.acknowledgeEvents([second, again.details[0].brokerProperties.lockToken]);
  const { failedLockTokens } = await receiver.acknowledgeEvents([first, "forged"]);
  assert.deepEqual(failedLockTokens.map(({ error }) => error.code), ["TokenLost", "BadToken"]);
});

test("one event goes over HTTP where the client allows it", async () => {
  const [sender, receiver] = clients(ready.http[0], { allowInsecureConnection: true });
  await sender.sendEvents(event(9));
  const { details } = await receiver.receiveEvents({ maxEvents: 1, maxWaitTime: 10 });
  assert.equal(details[0].event.data.number, 9);
  await receiver.acknowledgeEvents([details[0].brokerProperties.lockToken]);
});
