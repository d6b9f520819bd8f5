"""The issuer of the server under test, as identity libraries reach it: by its own name, or by Microsoft's."""

from functools import cache
from urllib.parse import parse_qsl, urlsplit

import msal
import requests

from ready import READY

BASE = READY["https"][0].replace("127.0.0.1", "localhost")
MICROSOFT = "https://login.microsoftonline.com"
DEFAULT = ["https://graph.microsoft.com/.default"]
APP, SECRET = READY["app"]["id"], READY["app"]["secret"]
TENANT, DOMAIN = READY["tenant"]["id"], READY["tenant"]["domain"]
MEGAN = READY["users"][0]
REDIRECT = "http://localhost:4711/callback"


class Http(requests.Session):
    """Takes the server for Microsoft's host, as a changed name service would. Its CA is in REQUESTS_CA_BUNDLE."""

    def __init__(self):
        super().__init__()
        self.hosts = set()

    def request(self, method, url, headers=None, **more):
        headers = dict(headers or {})
        if url.startswith(MICROSOFT):
            url = BASE + url.removeprefix(MICROSOFT)
            headers["Host"] = urlsplit(MICROSOFT).netloc
        self.hosts.add(headers.get("Host", urlsplit(url).netloc))
        return super().request(method, url, headers=headers, **more)


def graph(token, path):
    """What Graph answers to the bearer of a token."""
    return Http().get(f"{BASE}/v1.0{path}", headers={"Authorization": f"Bearer {token}"})


def sign_in(url):
    """What a browser brings back to the app: the fields of the URL that an authorization request leads to."""
    answer = Http().get(url + f"&prompt=none&login_hint={MEGAN['upn']}", allow_redirects=False)
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


@cache
def megans_token():
    """A token with which an app that she has signed in to does what its suites do."""
    app = msal.PublicClientApplication(
        APP, authority=f"{BASE}/{TENANT}", http_client=Http(), instance_discovery=False
    )
    scopes = ["Mail.ReadWrite", "Mail.Send", "Calendars.ReadWrite", "Contacts.ReadWrite", "User.Read"]
    flow = app.initiate_auth_code_flow(scopes, redirect_uri=REDIRECT)
    return app.acquire_token_by_auth_code_flow(flow, sign_in(flow["auth_uri"]))["access_token"]
