//! What domains, addresses, redirect URIs and permissions may look like.

use notify::access;
use url::{Host, Url};
use uuid::Uuid;

const DOMAIN_BYTES_MAX: usize = 253;
const LOCAL_PART_BYTES_MAX: usize = 64;
/// As in Entra.
const REDIRECT_URI_BYTES_MAX: usize = 256;
const PERMISSION_BYTES_MAX: usize = 128;

/// Why a name cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("'{0}' is no domain; give one like contoso.com")]
    Domain(String),
    #[error("'{0}' is no mail address; give one like megan@contoso.com")]
    Address(String),
    #[error("'{0}' cannot be a redirect URI: {1}")]
    RedirectUri(String, &'static str),
    #[error("'{0}' is no permission; give Graph's name of one, like Mail.Read")]
    Permission(String),
    #[error("there is no permission '{0}'; did you mean {1}?")]
    Misspelt(String, String),
}

/// A domain in lower case.
pub fn domain(text: &str) -> Result<String, BadName> {
    let domain = text.to_ascii_lowercase();
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    // In paths, what follows the `@` may be the tenant's id.
    let good = domain.len() <= DOMAIN_BYTES_MAX && domain.split('.').all(label) && Uuid::try_parse(&domain).is_err();
    if good { Ok(domain) } else { Err(BadName::Domain(shown(text))) }
}

/// The domain of a mail address, in lower case.
pub fn domain_of_address(address: &str) -> Result<String, BadName> {
    let bad = || BadName::Address(shown(address));
    let (local, of) = address.rsplit_once('@').ok_or_else(bad)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
    let dots = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    if !(1..=LOCAL_PART_BYTES_MAX).contains(&local.len()) || !local.bytes().all(plain) || !dots {
        return Err(bad());
    }
    domain(of).map_err(|_| bad())
}

/// An address to which codes may be sent: HTTPS, the app's own scheme, or HTTP on the user's machine.
pub fn check_redirect_uri(text: &str) -> Result<(), BadName> {
    let bad = |why| Err(BadName::RedirectUri(shown(text), why));
    if text.len() > REDIRECT_URI_BYTES_MAX {
        return bad("it is longer than 256 bytes");
    }
    let Ok(uri) = Url::parse(text) else { return bad("it is no absolute URI") };
    if text.contains('*') || text.contains('#') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return bad("it has a wildcard, a fragment or a letter that is not allowed in a URI");
    }
    if !uri.username().is_empty() || uri.password().is_some() {
        return bad("it has a user name or a password");
    }
    let local = match uri.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match uri.scheme() {
        "https" => Ok(()),
        "http" if local => Ok(()),
        "http" => bad("plain http is for localhost alone; use https"),
        "javascript" | "vbscript" | "data" | "file" | "blob" | "about" => bad("its scheme belongs to no app"),
        _ => Ok(()),
    }
}

/// `Mail.Read`, or one of OpenID's: `offline_access`.
pub fn check_permission(text: &str) -> Result<(), BadName> {
    const OPENID: [&str; 4] = ["openid", "profile", "email", "offline_access"];
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let graph = text.len() <= PERMISSION_BYTES_MAX && text.contains('.') && text.split('.').all(part);
    if graph || OPENID.contains(&text) { Ok(()) } else { Err(BadName::Permission(shown(text))) }
}

/// The same, and no name that was meant to be another one.
pub fn check_new_permission(text: &str) -> Result<(), BadName> {
    check_permission(text)?;
    let meant = match access::known(text) {
        Some(known) if known == text => return Ok(()),
        Some(known) => vec![known],
        None => access::meant(text),
    };
    if meant.is_empty() { Ok(()) } else { Err(BadName::Misspelt(shown(text), meant.join(", "))) }
}

/// The beginning of what was sent, without what would move a terminal's cursor.
fn shown(text: &str) -> String {
    text.chars().take(80).map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_those_of_dns_in_lower_case() {
        assert_eq!(domain("Contoso.COM").as_deref(), Ok("contoso.com"));
        assert_eq!(domain("localhost").as_deref(), Ok("localhost"));
        let long = format!("{}.test", "a".repeat(64));
        for text in
            ["", ".", "a..b", "-a.b", "a_b.c", "münchen.test", "a b", "84bd8158-6d4d-4958-8b9f-9d6445542f95", &long]
        {
            assert!(domain(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_has_a_local_part_and_a_domain() {
        assert_eq!(domain_of_address("Megan.O'Neil+x@Contoso.test").as_deref(), Ok("contoso.test"));
        let long = format!("{}@contoso.test", "a".repeat(65));
        for text in
            ["megan", "@contoso.test", "a b@contoso.test", ".a@b.c", "a..b@c.d", "a@", "a@b@c d", "<a@b.c>", &long]
        {
            assert!(domain_of_address(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_redirect_uri_leads_to_the_app_and_nowhere_else() {
        for uri in [
            "https://app.example/callback",
            "http://localhost",
            "http://localhost:3000/redirect",
            "http://127.0.0.1/",
            "http://[::1]:80/",
            "msal507c3b9a://auth",
            "urn:ietf:wg:oauth:2.0:oob",
        ] {
            assert_eq!(check_redirect_uri(uri), Ok(()), "{uri}");
        }
        let long = format!("https://app.example/{}", "a".repeat(256));
        for uri in [
            "callback",
            "http://app.example/",
            "http://localhost.app.example/",
            "https://*.app.example/",
            "https://app.example/#top",
            "https://user@app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://app.example/a b",
            "https://app.example/\n",
            &long,
        ] {
            assert!(check_redirect_uri(uri).is_err(), "{uri}");
        }
    }

    #[test]
    fn a_permission_has_graphs_form() {
        for name in ["Mail.Read", "Mail.ReadBasic.All", "User.Read", "offline_access", "openid"] {
            assert_eq!(check_permission(name), Ok(()), "{name}");
        }
        for name in
            ["", "Mail", "Mail Read", ".Read", "Mail..Read", "Mail.Read ", "https://graph.microsoft.com/Mail.Read"]
        {
            assert!(check_permission(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_misspelt_permission_is_not_granted_and_what_was_meant_is_said() {
        for name in ["Mail.Read", "Sites.Selected", "offline_access"] {
            assert_eq!(check_new_permission(name), Ok(()), "{name}");
        }
        let refused = |name: &str| check_new_permission(name).unwrap_err().to_string();
        assert_eq!(refused("mail.read"), "there is no permission 'mail.read'; did you mean Mail.Read?");
        assert_eq!(
            refused("Calendars.Raed"),
            "there is no permission 'Calendars.Raed'; did you mean Calendars.Read, Calendars.ReadBasic, \
             Calendars.ReadWrite?"
        );
        assert_eq!(check_new_permission("Mail"), check_permission("Mail"));
    }
}
