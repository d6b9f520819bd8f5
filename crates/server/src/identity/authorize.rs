//! What an authorization request asks for, whether it may, and the URL that carries the answer back. An
//! answer goes only to a redirect URI that is registered for the app; as long as none is known to be, a
//! refusal is shown on a page and goes nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use store::{App, Challenge};
use url::Url;
use url::form_urlencoded::Serializer;

use super::form::Form;
use super::refusal::Refusal;
use super::scope::Scopes;

const STATE_CHARS_MAX: usize = 4_096;
const NONCE_CHARS_MAX: usize = 1_024;

/// An authorization request that may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorize {
    pub back: Back,
    pub code: bool,
    pub id_token: bool,
    pub scopes: Scopes,
    pub nonce: Option<String>,
    pub challenge: Option<Challenge>,
    pub prompt: Prompt,
    pub login_hint: Option<String>,
}

/// The way back to the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    /// As the app sent it.
    pub redirect_uri: String,
    pub mode: Mode,
    pub state: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Query,
    Fragment,
    FormPost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Nothing may be shown.
    None,
    /// The person chooses.
    Choose,
}

/// What leads back: a URL to go to, or fields to post to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    To(String),
    Posts { to: String, fields: Vec<(&'static str, String)> },
}

/// The registered redirect URI that a request names, or the only one if it names none.
pub fn back(app: &App, form: &Form) -> Result<Back, Refusal> {
    let sent = match (form.get("redirect_uri"), app.redirect_uris.as_slice()) {
        (Some(sent), _) => sent,
        (None, [only]) => only,
        (None, _) => return Err(Refusal::Missing("redirect_uri")),
    };
    let mismatch = || Refusal::RedirectMismatch { app: app.id.to_string(), redirect: sent.to_owned() };
    let registered = |known: &String| known == sent || app.public_client && differ_in_port(known, sent);
    if !app.redirect_uris.iter().any(registered) || !leads_somewhere(sent) {
        return Err(mismatch());
    }
    let state = form.get("state").map(str::to_owned);
    if state.as_ref().is_some_and(|state| state.len() > STATE_CHARS_MAX) {
        return Err(Refusal::Invalid("state"));
    }
    let mode = match form.get("response_mode") {
        Some("query") => Mode::Query,
        Some("fragment") => Mode::Fragment,
        Some("form_post") => Mode::FormPost,
        Some(_) => return Err(Refusal::Invalid("response_mode")),
        // Tokens do not belong in a query, which servers log.
        None if wants(form, "id_token") => Mode::Fragment,
        None => Mode::Query,
    };
    Ok(Back { redirect_uri: sent.to_owned(), mode, state })
}

/// The rest of the request. What is wrong here is told to the app.
pub fn read(form: &Form, back: Back, origin: &str, segment: &str) -> Result<Authorize, Refusal> {
    let (code, id_token) = (wants(form, "code"), wants(form, "id_token"));
    let asked = form.need("response_type")?;
    let known = asked.split_ascii_whitespace().all(|word| ["code", "id_token"].contains(&word));
    if !known || !(code || id_token) {
        return Err(Refusal::ResponseType(asked.to_owned()));
    }
    if id_token && back.mode == Mode::Query {
        return Err(Refusal::Invalid("response_mode"));
    }
    let scopes = Scopes::asked(form.get("scope").ok_or(Refusal::ScopeMissing)?, origin, segment)?;
    let nonce = form.get("nonce").map(str::to_owned);
    if nonce.as_ref().is_some_and(|nonce| nonce.len() > NONCE_CHARS_MAX) {
        return Err(Refusal::Invalid("nonce"));
    }
    if id_token && nonce.is_none() {
        return Err(Refusal::Missing("nonce"));
    }
    let prompt = if form.get("prompt") == Some("none") { Prompt::None } else { Prompt::Choose };
    let login_hint = form.get("login_hint").map(str::to_owned);
    Ok(Authorize { back, code, id_token, scopes, nonce, challenge: challenge(form)?, prompt, login_hint })
}

fn wants(form: &Form, word: &str) -> bool {
    form.get("response_type").is_some_and(|asked| asked.split_ascii_whitespace().any(|one| one == word))
}

fn challenge(form: &Form) -> Result<Option<Challenge>, Refusal> {
    let Some(challenge) = form.get("code_challenge") else {
        return match form.get("code_challenge_method") {
            Some(_) => Err(Refusal::Missing("code_challenge")),
            None => Ok(None),
        };
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._~".contains(letter);
    if !(43..=128).contains(&challenge.len()) || !challenge.chars().all(plain) {
        return Err(Refusal::Invalid("code_challenge"));
    }
    match form.get("code_challenge_method") {
        Some("S256") if URL_SAFE_NO_PAD.decode(challenge).is_ok_and(|hash| hash.len() == 32) => {
            Ok(Some(Challenge::S256(challenge.to_owned())))
        }
        Some("plain") | None => Ok(Some(Challenge::Plain(challenge.to_owned()))),
        Some(_) => Err(Refusal::Invalid("code_challenge_method")),
    }
}

/// Whether two redirect URIs lead to the caller's own machine and differ in nothing but the port: programs
/// there take the one that is free (RFC 8252, section 7.3).
fn differ_in_port(known: &str, sent: &str) -> bool {
    let loopback = ["http://localhost", "http://127.0.0.1", "http://[::1]"];
    let Some(host) = loopback.into_iter().find(|host| known.starts_with(host)) else { return false };
    let after = |uri: &str| -> Option<String> {
        let rest = uri.strip_prefix(host)?;
        let (port, rest) = match rest.strip_prefix(':') {
            Some(rest) => rest.split_at(rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len())),
            None => ("0", rest),
        };
        let whole = port.parse::<u16>().is_ok() && (rest.is_empty() || rest.starts_with(['/', '?']));
        whole.then(|| if rest.is_empty() { "/".to_owned() } else { rest.to_owned() })
    };
    after(known).is_some_and(|known| after(sent) == Some(known))
}

/// Whether a browser may be sent there: an absolute URL without a fragment, and no script.
fn leads_somewhere(uri: &str) -> bool {
    let scripts = ["javascript", "data", "vbscript", "blob", "file", "about"];
    Url::parse(uri).is_ok_and(|url| url.fragment().is_none() && !scripts.contains(&url.scheme()))
}

impl Back {
    /// What leads back with these fields. The state goes with them.
    pub fn leads(&self, mut fields: Vec<(&'static str, String)>) -> Leads {
        if let Some(state) = &self.state {
            fields.push(("state", state.clone()));
        }
        if self.mode == Mode::FormPost {
            return Leads::Posts { to: self.redirect_uri.clone(), fields };
        }
        let parameters = Serializer::new(String::new()).extend_pairs(&fields).finish();
        let joint = match self.mode {
            Mode::Fragment => '#',
            _ if self.redirect_uri.contains('?') => '&',
            _ => '?',
        };
        Leads::To(format!("{}{joint}{parameters}", self.redirect_uri))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed;

    fn app(uris: &[&str]) -> App {
        App { redirect_uris: uris.iter().map(|uri| (*uri).to_owned()).collect(), ..seed::app() }
    }

    fn form(text: &str) -> Form {
        Form::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_a_registered_redirect_uri_is_answered() {
        let app = app(&["https://app.test/callback", "http://localhost/auth", "http://127.0.0.1", "myapp://auth"]);
        let goes = |uri: &str| {
            let query = Serializer::new(String::new()).append_pair("redirect_uri", uri).finish();
            back(&app, &form(&query)).is_ok()
        };
        for good in [
            "https://app.test/callback",
            "http://localhost/auth",
            "http://localhost:3000/auth",
            "http://127.0.0.1:65535",
            "http://127.0.0.1:8080/",
            "myapp://auth",
        ] {
            assert!(goes(good), "{good}");
        }
        for bad in [
            "https://app.test/callback/",
            "https://app.test/Callback",
            "https://app.test:8443/callback",
            "https://app.test/callback?x=1",
            "https://app.test.evil.test/callback",
            "http://app.test/callback",
            "http://localhost.evil.test/auth",
            "http://localhost:3000@evil.test/auth",
            "http://localhost:99999/auth",
            "http://localhost:/auth",
            "http://localhost:80/auth/../x",
            "http://localhost:80/other",
            "https://localhost:3000/auth",
            "http://127.0.0.1:80/x",
            "http://127.0.0.1:80#x",
            "myapp://auth2",
            "//evil.test",
        ] {
            assert!(!goes(bad), "{bad}");
        }
    }

    #[test]
    fn a_confidential_client_has_no_free_port() {
        let app = App { public_client: false, ..app(&["http://localhost/auth"]) };
        assert!(back(&app, &form("redirect_uri=http://localhost/auth")).is_ok());
        assert!(back(&app, &form("redirect_uri=http://localhost:3000/auth")).is_err());
    }

    #[test]
    fn what_would_run_is_no_redirect_uri_even_if_registered() {
        for uri in ["javascript:alert(1)", "data:text/html,x", "https://app.test/#x", "relative"] {
            let query = Serializer::new(String::new()).append_pair("redirect_uri", uri).finish();
            assert!(back(&app(&[uri]), &form(&query)).is_err(), "{uri}");
        }
    }

    #[test]
    fn the_only_redirect_uri_need_not_be_sent() {
        assert!(back(&app(&["https://app.test/"]), &form("")).is_ok());
        assert_eq!(
            back(&app(&["https://a.test/", "https://b.test/"]), &form("")),
            Err(Refusal::Missing("redirect_uri"))
        );
    }

    #[test]
    fn an_answer_goes_back_in_the_mode_that_was_asked_for() {
        let at =
            |redirect_uri: &str, mode| Back { redirect_uri: redirect_uri.into(), mode, state: Some("a b&c".into()) };
        let fields = || vec![("code", "x+y".to_owned())];
        let to = |text: &str| Leads::To(text.to_owned());
        assert_eq!(at("https://a.test/", Mode::Query).leads(fields()), to("https://a.test/?code=x%2By&state=a+b%26c"));
        assert_eq!(
            at("https://a.test/?k=1", Mode::Query).leads(fields()),
            to("https://a.test/?k=1&code=x%2By&state=a+b%26c")
        );
        assert_eq!(
            at("https://a.test/", Mode::Fragment).leads(fields()),
            to("https://a.test/#code=x%2By&state=a+b%26c")
        );
        let posted = vec![("code", "x+y".to_owned()), ("state", "a b&c".to_owned())];
        let to = "https://a.test/".to_owned();
        assert_eq!(at("https://a.test/", Mode::FormPost).leads(fields()), Leads::Posts { to, fields: posted });
    }

    fn asks(text: &str) -> Result<Authorize, Refusal> {
        let back = back(&app(&["https://a.test/"]), &form(text))?;
        read(&form(text), back, "https://localhost:8443", "common")
    }

    #[test]
    fn a_request_that_does_not_hold_together_is_refused() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let good = "response_type=code&scope=openid";
        assert!(asks(good).is_ok());
        let pkce = asks(&format!("{good}&code_challenge={challenge}&code_challenge_method=S256")).unwrap();
        assert_eq!(pkce.challenge, Some(Challenge::S256(challenge.into())));
        let hybrid = asks("response_type=code+id_token&scope=openid&nonce=n").unwrap();
        assert_eq!((hybrid.code, hybrid.id_token, hybrid.back.mode), (true, true, Mode::Fragment));
        for (bad, refusal) in [
            ("scope=openid".to_owned(), Refusal::Missing("response_type")),
            ("response_type=token&scope=openid".to_owned(), Refusal::ResponseType("token".into())),
            ("response_type=code".to_owned(), Refusal::ScopeMissing),
            ("response_type=id_token&scope=openid".to_owned(), Refusal::Missing("nonce")),
            (
                "response_type=id_token&scope=openid&nonce=n&response_mode=query".into(),
                Refusal::Invalid("response_mode"),
            ),
            (format!("{good}&response_mode=x"), Refusal::Invalid("response_mode")),
            (format!("{good}&code_challenge=short"), Refusal::Invalid("code_challenge")),
            (format!("{good}&code_challenge_method=S256"), Refusal::Missing("code_challenge")),
            (
                format!("{good}&code_challenge={challenge}&code_challenge_method=S512"),
                Refusal::Invalid("code_challenge_method"),
            ),
            (format!("{good}&state={}", "x".repeat(4_097)), Refusal::Invalid("state")),
            (format!("{good}&nonce={}", "x".repeat(1_025)), Refusal::Invalid("nonce")),
        ] {
            assert_eq!(asks(&bad), Err(refusal), "{bad}");
        }
    }
}
