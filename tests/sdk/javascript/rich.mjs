// The receiver's side of notifications with resource data, and what seals them, written from Microsoft's
// documentation of them (https://learn.microsoft.com/graph/change-notifications-with-resource-data) with Node's
// own modules alone. Nothing here is taken from the server or its receiver, nor from a library.

import crypto from "node:crypto";
import { createServer } from "node:http";

export const PUBLISHER = "0bf30f3b-4a52-48df-9a82-234910c4a086";
const OAEP = { padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" };
const ARRIVES_MS_MAX = 20_000;

// An item or a token that must not be used; its message names the step that failed.
export class Refused extends Error {}

// One value of DER: its tag, its length, what is in it.
function der(tag, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(body.length.toString(16).padStart(4, "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

const sequence = (...parts) => der(0x30, ...parts);
const bits = (bytes) => der(0x03, [0], bytes);
const oid = (hex) => der(0x06, Buffer.from(hex, "hex"));
const SHA256_WITH_RSA = sequence(oid("2a864886f70d01010b"), der(0x05));
const COMMON_NAME = oid("550403");

// A certificate of a key by itself, DER.
function certificate(name, publicKey, privateKey) {
  const subject = sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(name)))));
  const signed = sequence(
    der(0xa0, der(0x02, [2])),
    der(0x02, [0x01], crypto.randomBytes(8)),
    SHA256_WITH_RSA,
    subject,
    sequence(...["250101000000Z", "450101000000Z"].map((time) => der(0x17, Buffer.from(time)))),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
  );
  return sequence(signed, SHA256_WITH_RSA, bits(crypto.sign("sha256", signed, privateKey)));
}

// A key pair with its certificate, as an app keeps it.
export class Pair {
  constructor(name, modulusLength = 2048) {
    const { publicKey, privateKey } = crypto.generateKeyPairSync("rsa", { modulusLength });
    this.name = name;
    this.privateKey = privateKey;
    this.certificate = new crypto.X509Certificate(certificate(name, publicKey, privateKey));
    if (!this.certificate.verify(publicKey)) throw new Error("the certificate is not signed by its key");
    this.thumbprint = this.certificate.fingerprint.replaceAll(":", "");
  }

  // What a subscription says of it.
  asked() {
    return { encryptionCertificate: this.certificate.raw.toString("base64"), encryptionCertificateId: this.name };
  }
}

// The plain text of an `encryptedContent`, by whichever of the pairs it names.
export function opened(content, pairs) {
  const pair = pairs.find((pair) => pair.name === content.encryptionCertificateId);
  if (!pair) throw new Refused("certificate id");
  if (pair.thumbprint !== content.encryptionCertificateThumbprint) throw new Refused("thumbprint");
  const key = step("key", () =>
    crypto.privateDecrypt({ key: pair.privateKey, ...OAEP }, Buffer.from(content.dataKey, "base64")),
  );
  const data = Buffer.from(content.data, "base64");
  const given = Buffer.from(content.dataSignature, "base64");
  const expected = signature(key, data);
  if (given.length !== expected.length || !crypto.timingSafeEqual(given, expected)) throw new Refused("signature");
  return decrypted(key, data);
}

// The `encryptedContent` of an item.
export function sealed(plain, pair, key = crypto.randomBytes(32)) {
  const data = encrypted(key, plain);
  return {
    data: data.toString("base64"),
    dataKey: crypto.publicEncrypt({ key: pair.certificate.publicKey, ...OAEP }, key).toString("base64"),
    dataSignature: signature(key, data).toString("base64"),
    encryptionCertificateId: pair.name,
    encryptionCertificateThumbprint: pair.thumbprint,
  };
}

export const signature = (key, data) => crypto.createHmac("sha256", key).update(data).digest();

export function encrypted(key, plain) {
  const cipher = crypto.createCipheriv("aes-256-cbc", key, key.subarray(0, 16));
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

export function decrypted(key, data) {
  const cipher = crypto.createDecipheriv("aes-256-cbc", key, key.subarray(0, 16));
  return step("padding", () => Buffer.concat([cipher.update(data), cipher.final()])).toString("utf8");
}

function step(name, act) {
  try {
    return act();
  } catch (cause) {
    throw new Refused(name, { cause });
  }
}

// The issuer of validation tokens, known by the configuration that it publishes.
export class Authority {
  static async at(base) {
    const configuration = await (await fetch(`${base}/common/.well-known/openid-configuration`)).json();
    const { keys } = await (await fetch(configuration.jwks_uri)).json();
    return Object.assign(new Authority(), { base, keys });
  }

  // The claims of a token that an app got with notifications of a tenant.
  verified(token, tenant, audience) {
    const [head, body, mark, ...more] = token.split(".");
    if (!mark || more.length > 0) throw new Refused("form");
    const { alg, kid } = JSON.parse(Buffer.from(head, "base64url"));
    if (alg !== "RS256") throw new Refused("algorithm");
    const jwk = this.keys.find((key) => key.kid === kid);
    if (!jwk) throw new Refused("unknown key");
    const key = crypto.createPublicKey({ key: jwk, format: "jwk" });
    const signed = Buffer.from(`${head}.${body}`);
    if (!crypto.verify("sha256", signed, key, Buffer.from(mark, "base64url"))) throw new Refused("signature");
    const claims = JSON.parse(Buffer.from(body, "base64url"));
    const now = Date.now() / 1000;
    if (!(claims.nbf <= now && now < claims.exp)) throw new Refused("time");
    if (claims.aud !== audience) throw new Refused("audience");
    const first = claims.ver === "1.0";
    const issuer = first ? `https://sts.windows.net/${tenant}/` : `${this.base}/${tenant}/v2.0`;
    if (claims.iss !== issuer || claims.tid !== tenant) throw new Refused("issuer");
    if ((first ? claims.appid : claims.azp) !== PUBLISHER) throw new Refused("publisher");
    return claims;
  }
}

// A webhook receiver on loopback: it answers the handshake, and accepts before it looks.
export class Hook {
  bodies = [];
  waiting = new Set();

  static async open() {
    const hook = new Hook();
    hook.server = createServer((request, response) => hook.answer(request, response));
    await new Promise((resolve) => hook.server.listen(0, "127.0.0.1", resolve));
    hook.url = `http://127.0.0.1:${hook.server.address().port}/hook`;
    return hook;
  }

  async answer(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const token = new URL(request.url, this.url).searchParams.get("validationToken");
    response.writeHead(token ? 200 : 202, { "Content-Type": "text/plain" }).end(token ?? "");
    if (token) return;
    this.bodies.push(JSON.parse(Buffer.concat(chunks)));
    for (const look of this.waiting) look();
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }

  // The first thing that `find` finds in what came or is still to come.
  until(what, find) {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find();
        if (found) done(() => resolve(found));
      };
      const done = (settle) => {
        clearTimeout(timer);
        this.waiting.delete(look);
        settle();
      };
      const timer = setTimeout(() => done(() => reject(new Error(`nothing was told of ${what}`))), ARRIVES_MS_MAX);
      this.waiting.add(look);
      look();
    });
  }

  // The notification of a change of an item, and the body that it came in.
  told(changeType, id) {
    const is = (told) => told.changeType === changeType && told.resourceData.id === id;
    return this.until(`${changeType} ${id}`, () => {
      const body = this.bodies.find((body) => body.value.some(is));
      return body && { notification: body.value.find(is), body };
    });
  }
}
