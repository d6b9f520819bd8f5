//! The handshake before anything is pushed, which is that of CloudEvents' webhooks: an OPTIONS request asks the endpoint
//! whether it wants events of this origin, and it says so in its answer, or later at a URL that only it was told.

use std::fmt;

use super::push::Origin;
use crate::{HandshakeError, status_name};

/// How long an endpoint has to answer, over everything from DNS to the last byte, as Event Grid gives it.
pub const TIMEOUT_SECONDS: u64 = 30;
/// How long the URL is good that validates an endpoint by hand, as Event Grid's refusals have it.
pub const CALLBACK_MINUTES: i64 = 10;
/// What is asked for in requests a minute; receivers hold Event Grid's figure against what they know.
const RATE: &str = "120";

/// What is asked of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    pub origin: &'a Origin,
    /// The URL that consents when it is read, whoever reads it; `None`: it must answer.
    pub callback: Option<&'a str>,
    /// The token if there is an audience.
    pub bearer: Option<&'a str>,
}

impl Ask<'_> {
    /// The headers of the OPTIONS request, names in lower case.
    pub fn headers(&self) -> Vec<(String, String)> {
        let asked =
            [("webhook-request-origin", self.origin.as_str().to_owned()), ("webhook-request-rate", RATE.to_owned())];
        let callback = self.callback.map(|url| ("webhook-request-callback", url.to_owned()));
        let bearer = self.bearer.map(|token| ("authorization", format!("Bearer {token}")));
        asked.into_iter().chain(callback).chain(bearer).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// What an endpoint that could be asked says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    Given,
    /// It says nothing, so somebody may still read the callback.
    Withheld,
}

/// Why nothing is pushed to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoConsent {
    /// It could not be asked.
    NotAsked(HandshakeError),
    /// It answered with something else than 2xx.
    Status(u16),
    /// It wants events of another origin.
    OtherOrigin { allowed: String, own: String },
}

/// What an answer says, by its status and its `WebHook-Allowed-Origin`.
pub fn verdict(origin: &Origin, status: u16, allowed: Option<&str>) -> Result<Consent, NoConsent> {
    if !(200..300).contains(&status) {
        return Err(NoConsent::Status(status));
    }
    match allowed.map(str::trim).filter(|allowed| !allowed.is_empty()) {
        None => Ok(Consent::Withheld),
        Some(allowed) if allowed == "*" || allowed.eq_ignore_ascii_case(origin.as_str()) => Ok(Consent::Given),
        Some(allowed) => {
            let allowed = allowed.chars().filter(|letter| !letter.is_control()).take(64).collect();
            Err(NoConsent::OtherOrigin { allowed, own: origin.as_str().to_owned() })
        }
    }
}

impl fmt::Display for NoConsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked(error) => not_asked(error, f),
            Self::Status(status) => write!(
                f,
                "the endpoint answered the OPTIONS request with {status} {}; it must answer 200 with the header \
                 WebHook-Allowed-Origin",
                status_name(*status)
            ),
            Self::OtherOrigin { allowed, own } => write!(
                f,
                "the endpoint answered the OPTIONS request with WebHook-Allowed-Origin '{allowed}'; it must be '{own}' or *"
            ),
        }
    }
}

fn not_asked(error: &HandshakeError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        HandshakeError::Url { shown, reason } => write!(f, "endpointUrl '{shown}' cannot be called: {reason}"),
        HandshakeError::Scheme(scheme) => write!(f, "endpointUrl has the scheme '{scheme}'; use https"),
        HandshakeError::LocalAddress => f.write_str(
            "endpointUrl leads to an address that this server does not call; name another host, or ask its operator \
             to open this one",
        ),
        HandshakeError::TimedOut => {
            write!(f, "the endpoint did not answer the OPTIONS request within {TIMEOUT_SECONDS} seconds")
        }
        HandshakeError::Tls => f.write_str(
            "no TLS connection to the endpoint came about; 1.2 and 1.3 are offered, and its certificate must be valid \
             for its host and come from an authority that this server trusts, with every certificate in between",
        ),
        HandshakeError::Name(host) => write!(f, "the host '{host}' has no address"),
        HandshakeError::Connect => f.write_str("the endpoint could not be connected to"),
        HandshakeError::Broken | HandshakeError::Status(_) | HandshakeError::ContentType | HandshakeError::Body => {
            f.write_str("the connection to the endpoint ended, or what it answered was not HTTP")
        }
    }
}

impl std::error::Error for NoConsent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_asked_with_origin_rate_and_callback() {
        let origin = Origin::default();
        let ask = Ask { origin: &origin, callback: Some("https://tidings.example/validate/x"), bearer: None };
        let headers = |ask: Ask<'_>| ask.headers().iter().map(|(n, v)| format!("{n}: {v}")).collect::<Vec<_>>();
        assert_eq!(
            headers(ask),
            [
                "webhook-request-origin: eventgrid.azure.net",
                "webhook-request-rate: 120",
                "webhook-request-callback: https://tidings.example/validate/x",
            ]
        );
        assert_eq!(headers(Ask { bearer: Some("t"), ..ask })[3], "authorization: Bearer t");
    }

    #[test]
    fn the_origin_itself_or_a_star_with_2xx_is_consent() {
        let origin = Origin::default();
        let verdict = |status, allowed| verdict(&origin, status, allowed);
        assert_eq!(verdict(200, Some("eventgrid.azure.net")), Ok(Consent::Given));
        assert_eq!(verdict(204, Some(" EventGrid.Azure.Net ")), Ok(Consent::Given));
        assert_eq!(verdict(202, Some("*")), Ok(Consent::Given));
        assert_eq!(verdict(200, None), Ok(Consent::Withheld));
        assert_eq!(verdict(200, Some("")), Ok(Consent::Withheld));
        for status in [199, 301, 401, 404, 500] {
            assert_eq!(verdict(status, Some("*")), Err(NoConsent::Status(status)));
        }
        for other in ["other.example", "eventgrid.azure.net.evil.example", "**", "azure.net"] {
            assert!(matches!(verdict(200, Some(other)), Err(NoConsent::OtherOrigin { .. })), "{other}");
        }
    }

    #[test]
    fn refusals_say_what_to_change() {
        let other = verdict(&Origin::default(), 200, Some("other.example\u{1b}")).unwrap_err();
        let asked = [
            HandshakeError::url("https://h/x?code=s3cret", "it has a fragment, which no request carries"),
            HandshakeError::Scheme("http".into()),
            HandshakeError::LocalAddress,
            HandshakeError::TimedOut,
            HandshakeError::Tls,
            HandshakeError::Name("nowhere.example".into()),
            HandshakeError::Connect,
            HandshakeError::Broken,
        ];
        let all = [NoConsent::Status(405), other].into_iter().chain(asked.map(NoConsent::NotAsked));
        let texts: Vec<_> = all.map(|error| error.to_string()).collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        the endpoint answered the OPTIONS request with 405 MethodNotAllowed; it must answer 200 with the header WebHook-Allowed-Origin
        the endpoint answered the OPTIONS request with WebHook-Allowed-Origin 'other.example'; it must be 'eventgrid.azure.net' or *
        endpointUrl 'https://h/x…' cannot be called: it has a fragment, which no request carries
        endpointUrl has the scheme 'http'; use https
        endpointUrl leads to an address that this server does not call; name another host, or ask its operator to open this one
        the endpoint did not answer the OPTIONS request within 30 seconds
        no TLS connection to the endpoint came about; 1.2 and 1.3 are offered, and its certificate must be valid for its host and come from an authority that this server trusts, with every certificate in between
        the host 'nowhere.example' has no address
        the endpoint could not be connected to
        the connection to the endpoint ended, or what it answered was not HTTP
        "#);
    }
}
