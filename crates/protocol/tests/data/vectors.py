"""The envelope of resource data, written from Microsoft's documentation with Python's `cryptography`, for the files beside it.

    python3 vectors.py seal content.json > sealed_by_python.json
    python3 vectors.py open sealed_by_tidings.json

The second answers with content.json. The keys are throw-away: they were made for these tests with `openssl req -x509 -nodes` and guard nothing.
"""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

HERE = pathlib.Path(__file__).parent
PKCS7 = padding.PKCS7(128)
MEMBERS = ("data", "dataKey", "dataSignature")


def oaep():
    return OAEP(mgf=MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)


def cipher(key):
    return Cipher(algorithms.AES(key), modes.CBC(key[:16]))


def seal(content):
    certificate = x509.load_pem_x509_certificate((HERE / "throwaway_certificate_2048.pem").read_bytes())
    key = os.urandom(32)
    encryptor, padder = cipher(key).encryptor(), PKCS7.padder()
    data = encryptor.update(padder.update(content) + padder.finalize()) + encryptor.finalize()
    parts = (data, certificate.public_key().encrypt(key, oaep()), hmac.digest(key, data, hashlib.sha256))
    return {name: base64.b64encode(part).decode() for name, part in zip(MEMBERS, parts)} | {
        "encryptionCertificateId": "throwaway",
        "encryptionCertificateThumbprint": certificate.fingerprint(hashes.SHA1()).hex().upper(),
    }


def open_(sealed):
    private = serialization.load_pem_private_key((HERE / "throwaway_key_2048.pem").read_bytes(), None)
    data, data_key, signature = (base64.b64decode(sealed[name], validate=True) for name in MEMBERS)
    key = private.decrypt(data_key, oaep())
    assert len(key) == 32 and hmac.compare_digest(hmac.digest(key, data, hashlib.sha256), signature)
    decryptor, unpadder = cipher(key).decryptor(), PKCS7.unpadder()
    return unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize()


text = pathlib.Path(sys.argv[2]).read_bytes()
if sys.argv[1] == "seal":
    print(json.dumps(seal(text), indent=2))
else:
    sys.stdout.buffer.write(open_(json.loads(text)))
