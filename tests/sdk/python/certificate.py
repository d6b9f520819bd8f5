"""A certificate of an app's own, made and registered once for all tests."""

from datetime import datetime, timedelta, timezone
from functools import cache

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from ready import READY


@cache
def registered():
    """The private key (PEM), the certificate's SHA-1 thumbprint (hexadecimal), and the certificate (PEM)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an app")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    added = requests.post(
        f"{READY['admin']}/admin/apps/{READY['app']['id']}/certificates",
        headers={"Authorization": f"Bearer {READY['adminToken']}"},
        json={"certificate": pem},
    )
    assert added.status_code == 201, added.text
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.fingerprint(hashes.SHA1()).hex(), pem
