"""The official SDK, made to speak to the server under test: another base URL, a token of its issuer, its CA."""

import logging
import ssl
import unittest

import httpx
from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator
from kiota_abstractions.authentication import BaseBearerTokenAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.graph_request_adapter import options
from msgraph_core import GraphClientFactory

from identity import megans_token
from ready import READY

# unittest runs the loop in its debug mode, which complains of every slow step.
logging.getLogger("asyncio").setLevel(logging.ERROR)


class MegansToken(AccessTokenProvider):
    """Hands out the token of one sign-in."""

    async def get_authorization_token(self, uri, additional_authentication_context=None):
        return megans_token()

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator([])


def configured(query=None, headers=None):
    """What the SDK takes as the configuration of one request."""
    configuration = RequestConfiguration(query_parameters=query)
    for name, value in (headers or {}).items():
        configuration.headers.add(name, value)
    return configuration


class SdkTest(unittest.IsolatedAsyncioTestCase):
    """A test with a client of its own; each answer must have come by HTTP/2."""

    async def asyncSetUp(self):
        self.versions = set()

        async def note_version(response):
            self.versions.add(response.http_version)

        context = ssl.create_default_context(cafile=READY["ca"])
        http = httpx.AsyncClient(http2=True, verify=context, event_hooks={"response": [note_version]}, timeout=30)
        http = GraphClientFactory.create_with_default_middleware(client=http, options=options)
        self.adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(MegansToken()), http)
        self.adapter.base_url = READY["https"][0] + "/v1.0"
        self.client = GraphServiceClient(request_adapter=self.adapter)
        self.addAsyncCleanup(http.aclose)

    async def asyncTearDown(self):
        self.assertEqual({"HTTP/2"}, self.versions)
