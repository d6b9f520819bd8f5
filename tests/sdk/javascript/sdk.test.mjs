// What an app that uses the JavaScript client sees: mail, calendar, contacts, pages, deltas, batches, errors.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import {
  BatchRequestContent,
  BatchResponseContent,
  FileUpload,
  GraphError,
  LargeFileUploadTask,
  PageIterator,
} from "@microsoft/microsoft-graph-client";
import { client, ready } from "./server.mjs";

const draft = (subject) => ({ subject, body: { contentType: "html", content: "<p>Hello</p>" } });

test("a draft is written, read, changed and deleted", async () => {
  const made = await client.api("/me/messages").post(draft("draft"));
  assert.equal(made.isDraft, true);
  const changed = await client.api(`/me/messages/${made.id}`).patch({ subject: "changed" });
  assert.equal(changed.subject, "changed");
  await client.api(`/me/messages/${made.id}`).delete();
  await assert.rejects(client.api(`/me/messages/${made.id}`).get(), { statusCode: 404, code: "ErrorItemNotFound" });
});

test("a list is filtered, sorted, selected and counted", async () => {
  const mark = randomUUID();
  for (const number of [0, 1, 2]) await client.api("/me/messages").post(draft(`${mark} ${number}`));
  const page = await client
    .api("/me/messages")
    .filter(`startswith(subject,'${mark}')`)
    .orderby("subject")
    .select("subject")
    .count(true)
    .top(2)
    .get();
  assert.deepEqual(page.value.map((message) => message.subject), [`${mark} 0`, `${mark} 1`]);
  assert.equal(page["@odata.count"], 3);
  assert.equal(page.value[0].body, undefined);
});

test("a page iterator sees every message once", async () => {
  const mark = randomUUID();
  for (let number = 0; number < 7; number++) await client.api("/me/messages").post(draft(`${mark} ${number}`));
  const first = await client.api("/me/messages").filter(`startswith(subject,'${mark}')`).top(3).get();
  assert.ok(first["@odata.nextLink"].startsWith(ready.https[0]));
  const seen = [];
  await new PageIterator(client, first, (message) => seen.push(message.id) > 0).iterate();
  assert.equal(seen.length, 7);
  assert.equal(new Set(seen).size, 7);
});

test("a large attachment is uploaded in pieces", async () => {
  const message = await client.api("/me/messages").post(draft("large"));
  const content = Buffer.alloc(4 * 1024 * 1024 + 17, 7);
  const session = await LargeFileUploadTask.createUploadSession(
    client,
    `${ready.https[0]}/v1.0/me/messages/${message.id}/attachments/createUploadSession`,
    { AttachmentItem: { attachmentType: "file", name: "large.bin", size: content.length } },
  );
  const file = new FileUpload(content.buffer.slice(content.byteOffset, content.byteOffset + content.length), "large.bin", content.length);
  await new LargeFileUploadTask(client, file, session, { rangeSize: 320 * 1024 * 4 }).upload();
  const { value } = await client.api(`/me/messages/${message.id}/attachments`).get();
  assert.deepEqual(value.map((attachment) => attachment.name), ["large.bin"]);
  const read = await client.api(`/me/messages/${message.id}/attachments/${value[0].id}`).get();
  assert.ok(Buffer.from(read.contentBytes, "base64").equals(content));
});

test("a calendar view expands a series in the zone that is preferred", async () => {
  const calendar = await client.api("/me/calendars").post({ name: `calendar ${randomUUID()}` });
  const zone = "W. Europe Standard Time";
  await client.api(`/me/calendars/${calendar.id}/events`).post({
    subject: "daily",
    start: { dateTime: "2027-03-27T09:00:00", timeZone: zone },
    end: { dateTime: "2027-03-27T10:00:00", timeZone: zone },
    recurrence: {
      pattern: { type: "daily", interval: 1 },
      range: { type: "numbered", startDate: "2027-03-27", numberOfOccurrences: 3 },
    },
  });
  const view = await client
    .api(`/me/calendars/${calendar.id}/calendarView`)
    .query({ startDateTime: "2027-03-01T00:00:00Z", endDateTime: "2027-04-01T00:00:00Z" })
    .header("Prefer", `outlook.timezone="${zone}"`)
    .get();
  // The clocks go forward on the 28th; the meeting stays at nine.
  assert.deepEqual(
    view.value.map((event) => event.start.dateTime),
    ["2027-03-27T09:00:00.0000000", "2027-03-28T09:00:00.0000000", "2027-03-29T09:00:00.0000000"],
  );
});

test("contacts are sorted by name", async () => {
  const folder = await client.api("/me/contactFolders").post({ displayName: `folder ${randomUUID()}` });
  const contacts = `/me/contactFolders/${folder.id}/contacts`;
  for (const givenName of ["Charles", "Ada"]) await client.api(contacts).post({ givenName });
  const { value } = await client.api(contacts).orderby("displayName").get();
  assert.deepEqual(value.map((contact) => contact.displayName), ["Ada", "Charles"]);
});

test("a delta tells of what came and went", async () => {
  const folder = await client.api("/me/mailFolders").post({ displayName: `delta ${randomUUID()}` });
  const messages = `/me/mailFolders/${folder.id}/messages`;
  const first = await client.api(messages).post(draft("first"));
  const iterator = new PageIterator(client, await client.api(`${messages}/delta`).get(), () => true);
  await iterator.iterate();
  await client.api(`/me/messages/${first.id}`).delete();
  const changes = await client.api(iterator.getDeltaLink()).get();
  assert.deepEqual(changes.value.map((change) => [change.id, change["@removed"]?.reason]), [[first.id, "deleted"]]);
});

test("a batch runs in the order of its dependencies", async () => {
  const name = `batch ${randomUUID()}`;
  const base = `${ready.https[0]}/v1.0`;
  const body = JSON.stringify({ displayName: name });
  const headers = { "Content-Type": "application/json" };
  const batch = new BatchRequestContent([
    { id: "1", request: new Request(`${base}/me/mailFolders`, { method: "POST", headers, body }) },
    { id: "2", dependsOn: ["1"], request: new Request(`${base}/me/mailFolders?$top=100`, { method: "GET" }) },
  ]);
  const answers = new BatchResponseContent(await client.api("/$batch").post(await batch.getContent()));
  assert.equal(answers.getResponseById("1").status, 201);
  const listed = await answers.getResponseById("2").json();
  assert.ok(listed.value.some((folder) => folder.displayName === name));
});

test("a refusal is a typed error", async () => {
  const refused = await client.api("/me/messages").filter("nonsense eq 1").get().catch((error) => error);
  assert.ok(refused instanceof GraphError);
  assert.equal(refused.statusCode, 400);
  assert.ok(refused.code && refused.requestId && refused.message.includes("nonsense"));
});
