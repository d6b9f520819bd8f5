// CloudEvents' own library reads what is pushed, in each of HTTP's modes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { HTTP } from 'cloudevents';

const messages = JSON.parse(fs.readFileSync(process.env.TIDINGS_CLOUD_EVENTS, 'utf8'));

for (const { mode, headers, body, events } of messages) {
  test(`${events[0].id} is read in mode ${mode}`, () => {
    const bytes = Buffer.from(body, 'base64');
    // As a web framework hands it over: text where the headers say so.
    const isBytes = headers['content-type'] === 'application/octet-stream';
    const read = [HTTP.toEvent({ headers, body: isBytes ? bytes : bytes.toString('utf8') })].flat();
    assert.equal(read.length, events.length);
    // The library leaves the values of headers encoded.
    const text = mode === 'binary' ? decodeURIComponent : (value) => value;
    read.forEach((event, place) => assertIs(event, events[place], text));
  });
}

function assertIs(event, expected, text) {
  assert.equal(event.specversion, '1.0');
  for (const name of ['id', 'source', 'type', 'subject', 'datacontenttype']) {
    assert.equal(text(event[name]), expected[name], name);
  }
  assert.equal(Date.parse(event.time), Date.parse(expected.time));
  for (const [name, value] of Object.entries(expected.extensions)) {
    assert.equal(text(event[name]), value, name);
  }
  const data = expected.kind === 'binary' ? Buffer.from(event.data).toString('base64') : event.data;
  assert.deepEqual(data, expected.data);
}
