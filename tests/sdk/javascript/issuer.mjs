// An identity provider besides the server: npm `oidc-provider` over HTTPS, which gives access tokens for one resource as
// JSON Web Tokens. And `tidings serve`, to which the operator has named it.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const certificate = process.env.TIDINGS_ISSUER_CERTIFICATE;
const program = process.env.TIDINGS_PROGRAM;
const cert = readFileSync(certificate);

export const audience = "https://tidings.test";
export const scopes = "Mail.ReadWrite User.Read";
export const megan = { id: "622eaaff-0683-4862-9de4-f2ec83c2bd98", address: "megan@contoso.test" };
export const client = { id: "mail-archive", secret: "a secret that is long enough" };

function signingKey(kid, alg) {
  const { privateKey } =
    alg === "ES256" ? generateKeyPairSync("ec", { namedCurve: "P-256" }) : generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid, alg, use: "sig" };
}

function provider(issuer, key) {
  const resourceServer = { scope: scopes, audience, accessTokenFormat: "jwt", jwt: { sign: { alg: key.alg, kid: key.kid } } };
  return new Provider(issuer, {
    clients: [
      {
        client_id: client.id,
        client_secret: client.secret,
        grant_types: ["client_credentials"],
        response_types: [],
        redirect_uris: [],
        id_token_signed_response_alg: key.alg,
      },
    ],
    scopes: scopes.split(" "),
    jwks: { keys: [key] },
    ttl: { AccessToken: 600, ClientCredentials: 600 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo: async () => resourceServer },
    },
  });
}

export class Issuer {
  requests = [];

  static async start() {
    const issuer = new Issuer();
    issuer.server = https.createServer({ cert, key: readFileSync(certificate.replace(".pem", "-key.pem")) }, (request, response) => {
      issuer.requests.push(request.url);
      issuer.handle(request, response);
    });
    issuer.server.listen(0, "127.0.0.1");
    await once(issuer.server, "listening");
    issuer.url = `https://localhost:${issuer.server.address().port}`;
    return issuer;
  }

  // From now on it signs with another key, and publishes no other.
  signWith(kid, alg) {
    this.provider = provider(this.url, signingKey(kid, alg));
    this.handle = this.provider.callback();
  }

  // A token that an app gets for itself.
  async appToken(scope) {
    const form = new URLSearchParams({ grant_type: "client_credentials", resource: audience, scope });
    const basic = Buffer.from(`${client.id}:${encodeURIComponent(client.secret)}`).toString("base64");
    const request = https.request(`${this.url}/token`, {
      method: "POST",
      ca: cert,
      headers: { authorization: `Basic ${basic}`, "content-type": "application/x-www-form-urlencoded" },
    });
    request.end(form.toString());
    const [response] = await once(request, "response");
    const given = JSON.parse(await new Response(response).text());
    if (!given.access_token) throw new Error(JSON.stringify(given));
    return given.access_token;
  }

  // A token that an app gets for a user who has signed in; how that is done is the provider's affair.
  async userToken(accountId, scope) {
    const { AccessToken, Client, ResourceServer } = this.provider;
    const info = { scope: scopes, audience, accessTokenFormat: "jwt" };
    const token = new AccessToken({ accountId, scope, grantId: "a grant", gty: "authorization_code", client: await Client.find(client.id) });
    token.resourceServer = new ResourceServer(audience, { ...info, jwt: { sign: { alg: "RS256" } } });
    return token.save();
  }

  close() {
    this.server.close();
    this.server.closeAllConnections();
  }
}

export class Server {
  static async start(issuer) {
    const server = new Server();
    server.directory = mkdtempSync(join(tmpdir(), "tidings-issuer-"));
    const [data, key, file] = ["data", "key", "tidings.toml"].map((name) => join(server.directory, name));
    const text = (value) => JSON.stringify(value);
    writeFileSync(
      file,
      `data_dir = ${text(data)}
key_file = ${text(key)}
[listen]
https = []
http = ["127.0.0.1:0"]
admin = "127.0.0.1:0"
[identity]
built_in_issuer = false
[[identity.issuers]]
issuer = ${text(issuer.url)}
audiences = [${text(audience)}]
tenant = "contoso.test"
algorithms = ["RS256", "ES256"]
ca_files = [${text(certificate)}]
`,
    );
    server.process = spawn(program, ["serve", "--config", file], { stdio: ["ignore", "ignore", "pipe"] });
    const said = [];
    for await (const line of createInterface({ input: server.process.stderr })) {
      said.push(line);
      const address = line.match(/^tidings listens on (.*)/)?.[1];
      if (address) server.url = `http://${address}`;
      if (line.startsWith("tidings serves its admin API")) break;
    }
    if (!server.url) throw new Error(said.join("\n"));
    server.process.stderr.resume();
    for (const command of [["tenant", "add", "contoso.test"], ["user", "add", megan.address, "--id", megan.id]]) {
      execFileSync(program, [...command, "--data-dir", data]);
    }
    return server;
  }

  async get(path, token) {
    const answer = await fetch(`${this.url}/v1.0${path}`, { headers: { authorization: `Bearer ${token}` } });
    return { status: answer.status, json: await answer.json() };
  }

  async stop() {
    this.process.kill("SIGINT");
    await once(this.process, "exit");
    rmSync(this.directory, { recursive: true });
  }
}
