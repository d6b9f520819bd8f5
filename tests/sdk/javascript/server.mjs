// The official client, made to speak to the server under test: another base URL and a token of its issuer.
// Its CA is in NODE_EXTRA_CA_CERTS.

import { Client } from "@microsoft/microsoft-graph-client";
import { megansToken, ready } from "./identity.mjs";

export { ready };
const base = new URL(ready.https[0]);

export const client = Client.initWithMiddleware({
  authProvider: { getAccessToken: async () => (await megansToken).accessToken },
  baseUrl: `${base.origin}/`,
  defaultVersion: "v1.0",
  customHosts: new Set([base.hostname]),
});
