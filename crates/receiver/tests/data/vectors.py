"""Validation tokens as Microsoft documents them, made with PyJWT, and the key set that verifies them, for the file beside it.

    python3 vectors.py > tokens_by_python.json

The private key is made for the occasion and not kept.
"""
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

TENANT = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
PUBLISHER = "0bf30f3b-4a52-48df-9a82-234910c4a086"
AUTHORITY = "https://login.microsoftonline.com"
ISSUED = 1795000000

common = {"aud": "925bff9f-f6e2-4a69-b858-f71ea2b9b6d0", "iat": ISSUED, "nbf": ISSUED, "tid": TENANT, "uti": "MutVDyXcWUu9pjc5wQ9HAQ"}
v1 = common | {
    "iss": f"https://sts.windows.net/{TENANT}/", "exp": ISSUED + 29100, "aio": "42JgYGh7YF7zTlvZ", "appid": PUBLISHER, "appidacr": "2",
    "idp": f"https://sts.windows.net/{TENANT}/", "ver": "1.0",
}
v2 = common | {
    "iss": f"{AUTHORITY}/{TENANT}/v2.0", "exp": ISSUED + 86700, "aio": "k2RgYHjwWd1jc7Bm", "azp": PUBLISHER, "azpacr": "2",
    "oid": "1e7d79fa-7893-4d50-bdde-164260d9c5ba", "rh": "0.AX0AWIG9hE1tWEmLn51kRVQvlQ.", "sub": "1e7d79fa-7893-4d50-bdde-164260d9c5ba",
    "ver": "2.0",
}
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
kid = "nOo3ZDrODXEK1jKWhXslHR_KXEg"
jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
del jwk["key_ops"]
jwk |= {"use": "sig", "kid": kid, "x5t": kid, "issuer": f"{AUTHORITY}/{{tenantid}}/v2.0"}
tokens = [jwt.encode(claims, key, "RS256", headers={"kid": kid, "x5t": kid}) for claims in (v1, v2)]
print(json.dumps({"jwks": {"keys": [jwk]}, "validationTokens": tokens}, indent=2))
