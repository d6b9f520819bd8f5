//! The handshake that proves an app reachable before its subscription exists: the token, the URL that
//! carries it, and the verdict on the answer in the words of Graph's refusals.

use std::fmt;

use crate::status_name;

/// How long an app has to echo the token, over everything from DNS to the last byte.
pub const TIMEOUT_SECONDS: u64 = 10;

/// The request's content type, which Graph sends although the body is empty.
pub const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// The token for one handshake. It holds no `%`, because some receivers decode twice.
pub fn validation_token(request_id: &str) -> String {
    format!("Validation: Testing client application reachability for subscription Request-Id: {request_id}")
}

/// `url`, which has no fragment, with the token added to its query, which is otherwise kept.
pub fn validation_url(url: &str, token: &str) -> String {
    let separator = match url.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let mut text = format!("{url}{separator}validationToken=");
    for byte in token.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// Whether the answer proves that the app read the token: 200, `text/plain`, and the token byte for byte.
pub fn verdict(token: &str, status: u16, content_type: Option<&str>, body: &[u8]) -> Result<(), HandshakeError> {
    if status != 200 {
        return Err(HandshakeError::Status(status));
    }
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("text/plain") {
        return Err(HandshakeError::ContentType);
    }
    if body != token.as_bytes() {
        return Err(HandshakeError::Body);
    }
    Ok(())
}

/// Why a URL was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// Not an absolute URL that a request can be sent to; says what is wrong with it. Made by [`Self::url`].
    Url {
        shown: String,
        reason: String,
    },
    /// The scheme is not allowed here.
    Scheme(String),
    /// The host is, or resolves to, an address that must not be called.
    LocalAddress,
    /// It answered with something else than 200.
    Status(u16),
    ContentType,
    /// The body was not the token.
    Body,
    TimedOut,
    /// No TLS connection came about.
    Tls,
    /// The host has no address.
    Name(String),
    Connect,
    /// The connection broke, or the answer was not HTTP.
    Broken,
}

const TLS_ADVICE: &str = "TLS 1.2 is offered, and 1.3 with it where latestSupportedTlsVersion is v1_3; the endpoint's \
                          certificate must be valid for its host and come from an authority that this server trusts, \
                          with every certificate in between";

/// The longest part of a URL that a refusal repeats, in characters.
const SHOWN_CHARS_MAX: usize = 128;

/// A URL as a refusal repeats it: without what may be secret in it, and fit for a line.
fn shown(url: &str) -> String {
    let (url, more) = url.find(['?', '#']).map_or((url, ""), |end| (&url[..end], "…"));
    let (start, rest) = url.split_once("//").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let slashes = if start.is_empty() { "" } else { "//" };
    let user = if place.len() < rest.len() { "…@" } else { "" };
    let text = format!("{start}{slashes}{user}{place}{more}");
    text.chars().take(SHOWN_CHARS_MAX).map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

impl HandshakeError {
    /// `url` cannot be called, for this reason.
    pub fn url(url: &str, reason: &str) -> Self {
        Self::Url { shown: shown(url), reason: reason.to_owned() }
    }

    /// Graph's error code; the status is 400.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Url { .. } | Self::Scheme(_) | Self::LocalAddress => "InvalidRequest",
            _ => "ValidationError",
        }
    }

    /// Graph's message. `property` is the URL's name with a capital: `NotificationUrl` or
    /// `LifecycleNotificationUrl`. `names_status`: in the words that Graph has for another status than 200 since
    /// 2025; without it in those from 2022 to 2025.
    pub fn message(&self, property: &str, names_status: bool) -> String {
        const FAILED: &str = "Subscription validation request failed.";
        const WEB: &str = "HttpRequestException: An error occurred while sending the request. WebException:";
        match self {
            Self::Url { shown, .. } if property == "NotificationUrl" => format!("Invalid notification url='{shown}'."),
            Self::Url { shown, .. } => format!("Invalid lifecycle notification url='{shown}'."),
            Self::Scheme(scheme) => format!("{property} scheme='{scheme}' is not supported."),
            Self::LocalAddress => format!("{property} references a local address"),
            Self::Status(_) if !names_status => {
                format!("{FAILED} Notification endpoint must respond with 200 OK to validation request.")
            }
            Self::Status(status) => format!(
                "{FAILED} HTTP status code is '{}'. Notification endpoint must respond with 200 OK to validation request.",
                status_name(*status)
            ),
            Self::ContentType => {
                format!(
                    "{FAILED} Notification endpoint must respond with Content-Type text/plain to validation request."
                )
            }
            Self::Body => format!("{FAILED} Response must exactly match validationToken query parameter."),
            Self::TimedOut => "Subscription validation request timed out.".to_owned(),
            Self::Tls => format!("{WEB} The request was aborted: Could not create SSL/TLS secure channel."),
            Self::Name(host) => format!("{WEB} The remote name could not be resolved: '{host}'"),
            Self::Connect => format!("{WEB} Unable to connect to the remote server"),
            Self::Broken => {
                format!("{WEB} The underlying connection was closed: The connection was closed unexpectedly.")
            }
        }
    }

    /// What is wrong with the URL, or what the receiver at it did and who that is, where the message may leave it unsaid.
    pub fn detail(&self, url: &str) -> Option<String> {
        let receiver = shown(url);
        match self {
            Self::Url { reason, .. } => Some(reason.clone()),
            Self::Tls => Some(TLS_ADVICE.to_owned()),
            Self::Status(status) => Some(format!("the endpoint answered {status} {}", status_name(*status))),
            Self::TimedOut => Some(format!("{receiver} did not answer whole within {TIMEOUT_SECONDS} seconds")),
            Self::Connect => Some(format!("nothing takes connections at {receiver}")),
            Self::Broken => Some(format!("the connection to {receiver} broke, or what it answered is not HTTP")),
            Self::Name(_) => Some(format!("the host of {receiver} has no address")),
            Self::Scheme(_) | Self::LocalAddress | Self::ContentType | Self::Body => None,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message("NotificationUrl", true))
    }
}

impl std::error::Error for HandshakeError {}

#[cfg(test)]
mod tests {
    use super::*;

    const HOOK: &str = "https://hook.example.net/n?code=s3cret";
    const ID: &str = "b0a10000-0000-4000-8000-000000000001";

    #[test]
    fn the_token_is_graphs_sentence_and_is_encoded_once() {
        let token = validation_token(ID);
        assert!(!token.contains(['%', '<', '>', '&', '"', '\'']), "nothing that a receiver's page would run: {token}");
        insta::assert_snapshot!(validation_url("https://hook.example.net/n", &token), @"https://hook.example.net/n?validationToken=Validation%3A%20Testing%20client%20application%20reachability%20for%20subscription%20Request-Id%3A%20b0a10000-0000-4000-8000-000000000001");
    }

    #[test]
    fn an_app_has_ten_seconds() {
        assert_eq!(TIMEOUT_SECONDS, 10);
    }

    #[test]
    fn the_urls_own_query_is_kept() {
        let cases = [
            ("https://h/n", "https://h/n?validationToken=t%20"),
            ("https://h/n?", "https://h/n?validationToken=t%20"),
            ("https://h/n?k=1&z=%2F", "https://h/n?k=1&z=%2F&validationToken=t%20"),
            ("https://h/n?k=1&", "https://h/n?k=1&validationToken=t%20"),
        ];
        for (url, expected) in cases {
            assert_eq!(validation_url(url, "t "), expected);
        }
    }

    #[test]
    fn only_the_exact_token_as_plain_text_with_200_is_accepted() {
        let check = |status, content_type, body: &str| verdict("t k", status, content_type, body.as_bytes());
        assert_eq!(check(200, Some("text/plain"), "t k"), Ok(()));
        assert_eq!(check(200, Some("Text/Plain; charset=utf-8"), "t k"), Ok(()));
        assert_eq!(check(202, Some("text/plain"), "t k"), Err(HandshakeError::Status(202)));
        assert_eq!(check(302, Some("text/plain"), "t k"), Err(HandshakeError::Status(302)));
        assert_eq!(check(200, Some("application/json"), "t k"), Err(HandshakeError::ContentType));
        assert_eq!(check(200, Some("text/plainer"), "t k"), Err(HandshakeError::ContentType));
        assert_eq!(check(200, None, "t k"), Err(HandshakeError::ContentType));
        for wrong in ["t%20k", "t k\n", "\"t k\"", "", "t+k"] {
            assert_eq!(check(200, Some("text/plain"), wrong), Err(HandshakeError::Body), "{wrong:?}");
        }
    }

    #[test]
    fn refusals_use_graphs_words() {
        let errors = [
            HandshakeError::url("https:////hook.example.net/n", "no host"),
            HandshakeError::Scheme("http".into()),
            HandshakeError::LocalAddress,
            HandshakeError::Status(403),
            HandshakeError::ContentType,
            HandshakeError::Body,
            HandshakeError::TimedOut,
            HandshakeError::Tls,
            HandshakeError::Name("nowhere.example".into()),
            HandshakeError::Connect,
            HandshakeError::Broken,
        ];
        let texts: Vec<String> = errors.iter().map(|error| format!("{}: {error}", error.code())).collect();
        insta::assert_snapshot!(texts.join("\n"), @r#"
        InvalidRequest: Invalid notification url='https:////hook.example.net/n'.
        InvalidRequest: NotificationUrl scheme='http' is not supported.
        InvalidRequest: NotificationUrl references a local address
        ValidationError: Subscription validation request failed. HTTP status code is 'Forbidden'. Notification endpoint must respond with 200 OK to validation request.
        ValidationError: Subscription validation request failed. Notification endpoint must respond with Content-Type text/plain to validation request.
        ValidationError: Subscription validation request failed. Response must exactly match validationToken query parameter.
        ValidationError: Subscription validation request timed out.
        ValidationError: HttpRequestException: An error occurred while sending the request. WebException: The request was aborted: Could not create SSL/TLS secure channel.
        ValidationError: HttpRequestException: An error occurred while sending the request. WebException: The remote name could not be resolved: 'nowhere.example'
        ValidationError: HttpRequestException: An error occurred while sending the request. WebException: Unable to connect to the remote server
        ValidationError: HttpRequestException: An error occurred while sending the request. WebException: The underlying connection was closed: The connection was closed unexpectedly.
        "#);
        assert_eq!(
            HandshakeError::Scheme("http".into()).message("LifecycleNotificationUrl", true),
            "LifecycleNotificationUrl scheme='http' is not supported."
        );
    }

    #[test]
    fn the_older_words_leave_the_status_to_the_details() {
        let error = HandshakeError::Status(403);
        assert_eq!(
            error.message("NotificationUrl", false),
            "Subscription validation request failed. Notification endpoint must respond with 200 OK to validation \
             request."
        );
        assert_eq!(error.detail(HOOK).unwrap(), "the endpoint answered 403 Forbidden");
        let timed_out = HandshakeError::TimedOut;
        assert_eq!(timed_out.message("NotificationUrl", false), timed_out.to_string(), "the others are the same");
    }

    #[test]
    fn a_receiver_that_does_not_answer_is_named_in_the_details_without_what_may_be_secret() {
        let detail = |error: HandshakeError| error.detail(HOOK).unwrap();
        assert_eq!(detail(HandshakeError::Connect), "nothing takes connections at https://hook.example.net/n…");
        assert_eq!(
            detail(HandshakeError::TimedOut),
            "https://hook.example.net/n… did not answer whole within 10 seconds"
        );
        for error in [HandshakeError::Broken, HandshakeError::Name("hook.example.net".into())] {
            let detail = detail(error);
            assert!(detail.contains("https://hook.example.net/n…") && !detail.contains("s3cret"), "{detail}");
        }
    }

    #[test]
    fn where_no_tls_came_about_the_details_say_what_is_offered() {
        let detail = HandshakeError::Tls.detail(HOOK).unwrap();
        assert!(
            detail.starts_with("TLS 1.2 is offered, and 1.3 with it where latestSupportedTlsVersion is v1_3;"),
            "{detail}"
        );
    }

    #[test]
    fn a_refused_url_is_repeated_without_what_may_be_secret() {
        let long = format!("https://h/{}", "n".repeat(200));
        let cases = [
            ("hook", "hook"),
            ("https://hook.example.net/n?key=s3cret", "https://hook.example.net/n…"),
            ("https://hook.example.net/n#s3cret", "https://hook.example.net/n…"),
            ("https://u:s3cret@hook.example.net/n", "https://…@hook.example.net/n"),
            ("u:s3cret@hook.example.net", "…@hook.example.net"),
            ("https://h/\n\u{1b}[31m", "https://h/\u{fffd}\u{fffd}[31m"),
            (&long, &long[..SHOWN_CHARS_MAX]),
        ];
        for (url, repeated) in cases {
            let error = HandshakeError::url(url, "reasons");
            assert_eq!(error.message("NotificationUrl", true), format!("Invalid notification url='{repeated}'."));
            assert_eq!(error.detail(url).as_deref(), Some("reasons"));
        }
        let lifecycle = HandshakeError::url("hook", "reasons").message("LifecycleNotificationUrl", true);
        assert_eq!(lifecycle, "Invalid lifecycle notification url='hook'.");
    }
}
