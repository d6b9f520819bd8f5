"""The receiver's side of notifications with resource data, and what seals them, written from Microsoft's
documentation of them (https://learn.microsoft.com/graph/change-notifications-with-resource-data) with
`cryptography` and PyJWT. Nothing here is taken from the server or its receiver."""

import base64
import hmac
import os
import ssl
from datetime import datetime, timedelta, timezone

import jwt
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID

PUBLISHER = "0bf30f3b-4a52-48df-9a82-234910c4a086"
OAEP = rsa_padding.OAEP(mgf=rsa_padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)


class Refused(Exception):
    """An item or a token that must not be used; its text names the step that failed."""


class Pair:
    """A key pair with its certificate, as an app keeps it."""

    def __init__(self, name, bits=2048):
        self.name = name
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .sign(self.key, hashes.SHA256())
        )
        self.thumbprint = self.certificate.fingerprint(hashes.SHA1()).hex().upper()

    def asked(self):
        """What a subscription says of it."""
        der = self.certificate.public_bytes(serialization.Encoding.DER)
        return {"encryptionCertificate": base64.b64encode(der).decode(), "encryptionCertificateId": self.name}

    def private_pem(self, form):
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def opened(content, pairs):
    """The plain bytes of an `encryptedContent`, by whichever of the pairs it names."""
    pair = next((pair for pair in pairs if pair.name == content["encryptionCertificateId"]), None)
    if pair is None:
        raise Refused("certificate id")
    if content["encryptionCertificateThumbprint"] != pair.thumbprint:
        raise Refused("thumbprint")
    try:
        key = pair.key.decrypt(base64.b64decode(content["dataKey"], validate=True), OAEP)
    except ValueError:
        raise Refused("key") from None
    data = base64.b64decode(content["data"], validate=True)
    if not hmac.compare_digest(signature(key, data), content["dataSignature"]):
        raise Refused("signature")
    return decrypted(key, data)


def sealed(plain, pair, key=None):
    """The `encryptedContent` of an item."""
    key = key or os.urandom(32)
    data = encrypted(key, plain)
    return {
        "data": base64.b64encode(data).decode(),
        "dataKey": base64.b64encode(pair.certificate.public_key().encrypt(key, OAEP)).decode(),
        "dataSignature": signature(key, data),
        "encryptionCertificateId": pair.name,
        "encryptionCertificateThumbprint": pair.thumbprint,
    }


def signature(key, data):
    return base64.b64encode(hmac.digest(key, data, "sha256")).decode()


def encrypted(key, plain, iv=None):
    pad = padding.PKCS7(128).padder()
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv or key[:16])).encryptor()
    return cipher.update(pad.update(plain) + pad.finalize()) + cipher.finalize()


def decrypted(key, data):
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).decryptor()
    unpad = padding.PKCS7(128).unpadder()
    try:
        return unpad.update(cipher.update(data) + cipher.finalize()) + unpad.finalize()
    except ValueError:
        raise Refused("padding") from None


class Authority:
    """The issuer of validation tokens, known by the configuration that it publishes."""

    def __init__(self, base, ca):
        self.base = base
        configuration = requests.get(f"{base}/common/.well-known/openid-configuration", verify=ca).json()
        self.keys = jwt.PyJWKClient(configuration["jwks_uri"], ssl_context=ssl.create_default_context(cafile=ca))

    def verified(self, token, tenant, audience):
        """The claims of a token that an app got with notifications of a tenant."""
        issuers = {"1.0": f"https://sts.windows.net/{tenant}/", "2.0": f"{self.base}/{tenant}/v2.0"}
        try:
            key = self.keys.get_signing_key_from_jwt(token)
            claims = jwt.decode(
                token, key, algorithms=["RS256"], audience=audience, issuer=list(issuers.values()),
                options={"require": ["exp", "nbf", "iat", "aud", "iss", "tid", "ver"]},
            )
        except jwt.PyJWTError as error:
            raise Refused(type(error).__name__) from error
        publisher = claims.get("appid" if claims["ver"] == "1.0" else "azp")
        if claims["iss"] != issuers.get(claims["ver"]) or claims["tid"] != tenant or publisher != PUBLISHER:
            raise Refused("publisher")
        return claims
