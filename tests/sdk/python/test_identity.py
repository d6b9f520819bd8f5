"""How apps sign in, with Microsoft's libraries for Python: MSAL in each form of authority, and Azure Identity."""

import unittest

import msal
from azure.identity import CertificateCredential, ClientSecretCredential

from certificate import registered
from identity import APP, BASE, DEFAULT, DOMAIN, MEGAN, MICROSOFT, REDIRECT, SECRET, TENANT, Http, graph, sign_in


def confidential(tenant, base=BASE, credential=SECRET, **more):
    http = Http()
    app = msal.ConfidentialClientApplication(
        APP, client_credential=credential, authority=f"{base}/{tenant}", http_client=http, **more
    )
    return app, http


class Msal(unittest.TestCase):
    def assertGiven(self, given):
        self.assertIn("access_token", given, given)
        return given["access_token"]

    def test_an_app_gets_a_token_whichever_way_its_authority_is_named(self):
        for tenant in (TENANT, DOMAIN, "common", "organizations"):
            for discovery in (None, True, False):
                with self.subTest(tenant=tenant, discovery=discovery):
                    app, http = confidential(tenant, instance_discovery=discovery)
                    token = self.assertGiven(app.acquire_token_for_client(DEFAULT))
                    self.assertEqual(200, graph(token, "/users").status_code)
                    asked_microsoft = "login.microsoftonline.com" in http.hosts
                    self.assertEqual(discovery is not False, asked_microsoft, http.hosts)

    def test_an_app_that_knows_only_microsofts_name_gets_a_token_too(self):
        for discovery in (None, True, False):
            app, http = confidential(TENANT, base=MICROSOFT, instance_discovery=discovery)
            self.assertGiven(app.acquire_token_for_client(DEFAULT))
            self.assertEqual({"login.microsoftonline.com"}, http.hosts)

    def test_an_authority_of_openid_connect_is_taken_by_its_issuer(self):
        app = msal.ConfidentialClientApplication(
            APP, client_credential=SECRET, oidc_authority=f"{BASE}/{TENANT}/v2.0", http_client=Http()
        )
        self.assertGiven(app.acquire_token_for_client(DEFAULT))

    def test_a_token_comes_from_the_cache_the_second_time(self):
        app, _ = confidential(TENANT, instance_discovery=False)
        self.assertEqual("identity_provider", app.acquire_token_for_client(DEFAULT)["token_source"])
        self.assertEqual("cache", app.acquire_token_for_client(DEFAULT)["token_source"])

    def test_a_wrong_secret_is_told(self):
        app, _ = confidential(TENANT, credential="wrong", instance_discovery=False)
        refused = app.acquire_token_for_client(DEFAULT)
        self.assertEqual(("invalid_client", [7000215]), (refused["error"], refused["error_codes"]))

    def test_a_certificate_is_as_good_as_a_secret(self):
        key, thumbprint, pem = registered()
        for credential in (
            {"private_key": key, "thumbprint": thumbprint},
            {"private_key": key, "public_certificate": pem},
        ):
            app, _ = confidential(TENANT, credential=credential, instance_discovery=False)
            token = self.assertGiven(app.acquire_token_for_client(DEFAULT))
            self.assertEqual(200, graph(token, "/users").status_code)

    def test_a_user_signs_in_and_stays_so_by_refresh_tokens(self):
        for tenant in (TENANT, "common", "organizations"):
            with self.subTest(tenant=tenant):
                app, _ = confidential(tenant, instance_discovery=False)
                flow = app.initiate_auth_code_flow(["Mail.Read"], redirect_uri=REDIRECT)
                given = app.acquire_token_by_auth_code_flow(flow, sign_in(flow["auth_uri"]))
                self.assertEqual(200, graph(self.assertGiven(given), "/me/messages").status_code)
                self.assertEqual(MEGAN["upn"], given["id_token_claims"]["preferred_username"])
                [account] = app.get_accounts()
                self.assertEqual(f"{MEGAN['id']}.{TENANT}", account["home_account_id"])
                again = app.acquire_token_silent(["Mail.Read"], account)
                self.assertEqual(given["access_token"], again["access_token"])
                fresh = app.acquire_token_silent(["Mail.Read"], account, force_refresh=True)
                self.assertNotEqual(given["access_token"], self.assertGiven(fresh))
                self.assertEqual(200, graph(fresh["access_token"], "/me/messages").status_code)

    def test_a_public_client_signs_in_by_a_device_code(self):
        app = msal.PublicClientApplication(
            APP, authority=f"{BASE}/organizations", http_client=Http(), instance_discovery=False
        )
        flow = app.initiate_device_flow(["Mail.Read"])
        http = Http()
        page = f"{flow['verification_uri']}?otc={flow['user_code']}"
        shown = http.get(page).text
        csrf = shown.split('name="csrf" value="')[1].split('"')[0]
        done = http.post(page, data={"csrf": csrf, "user": MEGAN["id"]})
        self.assertIn("You are signed in", done.text)
        token = self.assertGiven(app.acquire_token_by_device_flow(flow))
        self.assertEqual(200, graph(token, "/me/messages").status_code)


class AzureIdentity(unittest.TestCase):
    settings = {"authority": BASE, "disable_instance_discovery": True}

    def test_a_secret_gives_a_token(self):
        credential = ClientSecretCredential(TENANT, APP, SECRET, **self.settings)
        token = credential.get_token(*DEFAULT).token
        self.assertEqual(200, graph(token, "/users").status_code)

    def test_a_certificate_gives_a_token(self):
        key, _, pem = registered()
        credential = CertificateCredential(TENANT, APP, certificate_data=(key + pem).encode(), **self.settings)
        token = credential.get_token(*DEFAULT).token
        self.assertEqual(200, graph(token, "/users").status_code)


if __name__ == "__main__":
    unittest.main()
