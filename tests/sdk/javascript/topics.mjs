// Partner topics, managed as an app does it for which there is no client in JavaScript here.

import assert from "node:assert/strict";
import { ConfidentialClientApplication } from "@azure/msal-node";
import { auth, base, ready } from "./identity.mjs";

export const azure = "8d4f6d16-47a1-4b9c-9b4f-0c7e4fbd5d3a";
export const resourceGroup = "tests";
const group = `/subscriptions/${azure}/resourceGroups/${resourceGroup}/providers/Microsoft.EventGrid`;

// The token of the app itself, for an API.
export async function appsToken(api) {
  const app = new ConfidentialClientApplication({ auth: auth(ready.tenant.id, { clientSecret: ready.app.secret }) });
  return (await app.acquireTokenByClientCredential({ scopes: [`${api}/.default`] })).accessToken;
}

// What is answered to a request for a topic, or for what lies below it.
export async function manage(topic, method, path, body) {
  const url = `${base}${group}/partnerTopics/${topic}${path}?api-version=2025-02-15`;
  return asked(method, url, await appsToken("https://management.azure.com"), body);
}

export async function asked(method, url, token, body) {
  const answer = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  assert.ok(answer.ok, text);
  return text && JSON.parse(text);
}
