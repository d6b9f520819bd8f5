//! The handshake: how a server learns that a URL is yours before it sends anything there.
//!
//! While your call to create a subscription is still being answered, the server posts to your URL with
//! `?validationToken=…` added to it. You have ten seconds to answer `200 OK`, `text/plain`, with the token's
//! text as the whole body. The same happens when the URL of a subscription is changed.

/// The content type of the answer. Never answer with HTML: the token is somebody else's text, and a browser
/// that is led to your URL would run what stands in it.
pub const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// The longest token that is repeated, in bytes. Servers send some hundred.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// The body to answer with, if a request with this query string (what follows the `?`) is a handshake. `None`: it
/// is not, so its body holds notifications.
///
/// ```
/// use tidings_receiver::handshake;
///
/// let query = "validationToken=Validation%3A+Testing+client%20application";
/// assert_eq!(handshake::answer(query).as_deref(), Some("Validation: Testing client application"));
/// assert_eq!(handshake::answer("page=2"), None);
/// ```
pub fn answer(query: &str) -> Option<String> {
    let token = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "validationToken")?.1;
    (token.len() <= TOKEN_BYTES_MAX).then(|| token.into_owned())
}

#[cfg(test)]
mod tests {
    use protocol::handshake::{validation_token, validation_url, verdict};

    use super::*;

    #[test]
    fn the_answer_is_what_the_server_waits_for() {
        let token = validation_token("b0a10000-0000-4000-8000-000000000001");
        let url = validation_url("https://hook.example.net/n?key=1", &token);
        let body = answer(url.split_once('?').unwrap().1).unwrap();
        assert_eq!(verdict(&token, 200, Some(CONTENT_TYPE), body.as_bytes()), Ok(()));
    }

    #[test]
    fn the_token_is_decoded_once_with_a_plus_for_a_space() {
        assert_eq!(answer("validationToken=a+b%20c%2B%2525").unwrap(), "a b c+%25");
        assert_eq!(answer("a=1&validationToken=t&b").unwrap(), "t");
        assert_eq!(answer("validationToken=").unwrap(), "");
    }

    #[test]
    fn what_is_no_handshake_is_not_answered_as_one() {
        for query in ["", "validationtoken=t", "token=t", "xvalidationToken=t"] {
            assert_eq!(answer(query), None, "{query}");
        }
        assert_eq!(answer(&format!("validationToken={}", "t".repeat(TOKEN_BYTES_MAX + 1))), None);
    }
}
