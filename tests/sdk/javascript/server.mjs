// The official client, made to speak to the server under test: another base URL and a static token. Its
// CA is in NODE_EXTRA_CA_CERTS.

import { readFileSync } from "node:fs";
import { Client } from "@microsoft/microsoft-graph-client";

export const ready = JSON.parse(readFileSync(process.env.TIDINGS_READY, "utf8"));
const base = new URL(ready.https[0]);

export const client = Client.initWithMiddleware({
  authProvider: { getAccessToken: async () => ready.token },
  baseUrl: `${base.origin}/`,
  defaultVersion: "v1.0",
  customHosts: new Set([base.hostname]),
});
