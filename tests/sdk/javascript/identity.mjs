// The issuer of the server under test, as an identity library reaches it, and a user who has signed in.

import { readFileSync } from "node:fs";
import { CryptoProvider, PublicClientApplication } from "@azure/msal-node";

export const ready = JSON.parse(readFileSync(process.env.TIDINGS_READY, "utf8"));
export const base = ready.https[0].replace("127.0.0.1", "localhost");
export const redirectUri = "http://localhost:4711/callback";
export const [megan] = ready.users;

export const auth = (tenant, more) => ({
  clientId: ready.app.id,
  authority: `${base}/${tenant}`,
  knownAuthorities: [new URL(base).host],
  ...more,
});

// What a browser brings back to the app.
export async function signIn(url) {
  const answer = await fetch(`${url}&prompt=none&login_hint=${megan.upn}`, { redirect: "manual" });
  if (answer.status !== 302) throw new Error(await answer.text());
  return new URL(answer.headers.get("location")).searchParams;
}

// Signs Megan in to an app by a code with PKCE.
export async function megansTokens(app, scopes) {
  const { verifier, challenge } = await new CryptoProvider().generatePkceCodes();
  const asked = { scopes, redirectUri };
  const pkce = { codeChallenge: challenge, codeChallengeMethod: "S256" };
  const back = await signIn(await app.getAuthCodeUrl({ ...asked, ...pkce, state: "s-1" }));
  return app.acquireTokenByCode({ ...asked, code: back.get("code"), codeVerifier: verifier, state: back.get("state") });
}

// A token with which an app that she has signed in to does what its suite does.
const scopes = ["Mail.ReadWrite", "Mail.Send", "Calendars.ReadWrite", "Contacts.ReadWrite", "User.Read"];
export const megansToken = megansTokens(new PublicClientApplication({ auth: auth(ready.tenant.id) }), scopes);
