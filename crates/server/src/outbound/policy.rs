//! Which targets may be called: rules on a URL's text and on the addresses of its host. Pure. The same
//! verdict on where a URL leads is given when a subscription is made, when a receiver is tested and when one is
//! called; how it is spelled is judged before it is kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

use super::address::{Class, canonical, classify};

/// Longer URLs are refused.
pub const URL_BYTES_MAX: usize = 4096;

/// What an operator opens beyond public addresses over HTTPS.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Development: plain HTTP, loopback and private addresses.
    pub dev: bool,
    /// RFC 1918 and unique local addresses.
    pub allow_private: bool,
    pub allow: Vec<Allowed>,
}

/// A forbidden place that is opened by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// This name, with whatever it resolves to apart from where machines read their credentials. In lower case.
    Host(String),
    Network(IpNet),
}

/// The text is neither a host nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a host name, an address or a network such as 10.1.0.0/16")]
pub struct InvalidAllowed;

impl FromStr for Allowed {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        if text.contains('/') {
            return text.parse::<IpNet>().map(|net| Self::Network(net.trunc())).map_err(|_| InvalidAllowed);
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Network(canonical(address).into()));
        }
        match Host::parse(text) {
            Ok(Host::Domain(name)) if !name.is_empty() && !name.contains('*') => Ok(Self::Host(bare(&name).to_owned())),
            _ => Err(InvalidAllowed),
        }
    }
}

/// Why a target may not be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0}")]
    Url(&'static str),
    #[error("the scheme '{0}' is not allowed")]
    Scheme(String),
    #[error("{host} is {class}; it is called only if it is allowed by name")]
    Address { host: String, class: Class },
    #[error("{host} resolves to {address}, which is {class}; it is called only if it is allowed by name")]
    Resolved { host: String, address: IpAddr, class: Class },
}

impl Policy {
    /// For what the operator has named, and no app can: by plain HTTP, too, and wherever it is. Only where machines read
    /// their credentials stays closed.
    pub fn of_operator(place: Allowed) -> Self {
        Self { dev: true, allow_private: true, allow: vec![place] }
    }

    /// The URL as it will be called, if its text allows that. Where its host leads is judged when the
    /// name is resolved; an address literal and `localhost` are judged here.
    pub fn check_url(&self, text: &str) -> Result<Url, Refusal> {
        check_length(text)?;
        self.check_extended_url(text)
    }

    /// The same for a URL that has been checked and got longer by what this server adds to its query.
    pub fn check_extended_url(&self, text: &str) -> Result<Url, Refusal> {
        let url = self.read(text)?;
        check_spelling(text, &url)?;
        self.check_place(&url)?;
        Ok(url)
    }

    /// The same for a URL that was kept, perhaps before its spelling mattered.
    pub fn check_kept_url(&self, text: &str) -> Result<Url, Refusal> {
        check_length(text)?;
        let mut url = self.read(text)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Url("it has a user name or password"));
        }
        self.check_place(&url)?;
        url.set_fragment(None);
        Ok(url)
    }

    fn read(&self, text: &str) -> Result<Url, Refusal> {
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
            return Err(Refusal::Url("it has blanks, control characters or backslashes"));
        }
        let url = Url::parse(text).map_err(|_| Refusal::Url("it is not an absolute URL"))?;
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.dev => Ok(url),
            other => Err(Refusal::Scheme(other.chars().take(64).collect())),
        }
    }

    fn check_place(&self, url: &Url) -> Result<(), Refusal> {
        if url.port() == Some(0) {
            return Err(Refusal::Url("its port is 0"));
        }
        match url.host() {
            None => Err(Refusal::Url("it has no host")),
            Some(Host::Ipv4(address)) => self.check_literal(address.into()),
            Some(Host::Ipv6(address)) => self.check_literal(address.into()),
            Some(Host::Domain(name)) if is_localhost(name) => self.check_localhost(name),
            Some(Host::Domain(_)) => Ok(()),
        }
    }

    /// Whether `address`, which `host` resolves to, may be called.
    pub fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Refusal> {
        match self.forbids(host, address) {
            None => Ok(()),
            Some(class) => Err(Refusal::Resolved { host: host.to_owned(), address, class }),
        }
    }

    fn check_literal(&self, address: IpAddr) -> Result<(), Refusal> {
        let host = address.to_string();
        match self.forbids(&host, address) {
            None => Ok(()),
            Some(class) => Err(Refusal::Address { host, class }),
        }
    }

    fn check_localhost(&self, name: &str) -> Result<(), Refusal> {
        if self.localhost(name).is_empty() {
            return Err(Refusal::Address { host: name.to_owned(), class: Class::Loopback });
        }
        Ok(())
    }

    /// The loopback addresses that `localhost` may stand for here. No name server is asked for it.
    pub fn localhost(&self, name: &str) -> Vec<IpAddr> {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        both.into_iter().filter(|address| self.forbids(name, *address).is_none()).collect()
    }

    /// The class that makes the address forbidden; `None`: it may be called.
    fn forbids(&self, host: &str, address: IpAddr) -> Option<Class> {
        let class = classify(address)?;
        let opened = match class {
            Class::Loopback => self.dev,
            Class::Private => self.dev || self.allow_private,
            _ => false,
        };
        let address = canonical(address);
        let named = self.allow.iter().any(|allowed| match allowed {
            // Credentials of the machine are opened by their own address alone: not by a network that happens to hold
            // them, nor by a name, which leads where its name server says.
            Allowed::Host(name) => class != Class::Metadata && name.eq_ignore_ascii_case(bare(host)),
            Allowed::Network(net) if class == Class::Metadata => {
                net.contains(&address) && net.prefix_len() == net.max_prefix_len()
            }
            Allowed::Network(net) => net.contains(&address),
        });
        (!opened && !named).then_some(class)
    }
}

fn check_length(text: &str) -> Result<(), Refusal> {
    match text.len() > URL_BYTES_MAX {
        true => Err(Refusal::Url("it is longer than 4096 bytes")),
        false => Ok(()),
    }
}

/// What the standard for browsers forgives, and other programs read in another way.
fn check_spelling(text: &str, url: &Url) -> Result<(), Refusal> {
    let rest = text.split_once(':').map_or("", |(_, rest)| rest);
    let Some(rest) = rest.strip_prefix("//").filter(|rest| !rest.starts_with('/')) else {
        return Err(Refusal::Url("it has no host behind its scheme and two slashes"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Refusal::Url("it has a user name or password"));
    }
    if rest.contains('#') {
        return Err(Refusal::Url("it has a fragment, which no request carries"));
    }
    if url.host_str().is_some_and(|host| host.ends_with('.')) {
        return Err(Refusal::Url("its host ends with a dot; write it without"));
    }
    Ok(())
}

/// Names that mean this machine, RFC 6761.
pub fn is_localhost(name: &str) -> bool {
    let name = bare(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn serve() -> Policy {
        Policy::default()
    }

    fn dev() -> Policy {
        Policy { dev: true, ..Policy::default() }
    }

    fn allowing(names: &[&str]) -> Policy {
        Policy { allow: names.iter().map(|name| name.parse().unwrap()).collect(), ..Policy::default() }
    }

    fn refusal(policy: &Policy, url: &str) -> String {
        policy.check_url(url).unwrap_err().to_string()
    }

    #[test]
    fn serve_calls_https_only() {
        assert!(serve().check_url("https://hook.example.net/n?k=1").is_ok());
        assert!(serve().check_url("https://hook.example.net:8443/").is_ok());
        assert_eq!(serve().check_url("http://hook.example.net/"), Err(Refusal::Scheme("http".into())));
        assert_eq!(serve().check_url("ftp://hook.example.net/"), Err(Refusal::Scheme("ftp".into())));
        assert!(dev().check_url("http://localhost:3000/").is_ok());
        assert_eq!(dev().check_url("file:///etc/passwd"), Err(Refusal::Scheme("file".into())));
    }

    #[test]
    fn odd_urls_are_refused_with_a_reason() {
        insta::assert_snapshot!(["", "hook", "/n", "https://", "https://u:p@h/", "https://h:0/", "https://h /", "https:\\\\h\\n", "https://h\n/"]
            .map(|url| format!("{url:?}: {}", refusal(&serve(), url))).join("\n"), @r#"
        "": it is not an absolute URL
        "hook": it is not an absolute URL
        "/n": it is not an absolute URL
        "https://": it is not an absolute URL
        "https://u:p@h/": it has a user name or password
        "https://h:0/": its port is 0
        "https://h /": it has blanks, control characters or backslashes
        "https:\\\\h\\n": it has blanks, control characters or backslashes
        "https://h\n/": it has blanks, control characters or backslashes
        "#);
        let long = format!("https://h/{}", "a".repeat(URL_BYTES_MAX));
        assert_eq!(refusal(&serve(), &long), "it is longer than 4096 bytes");
        assert!(serve().check_url(&long[..URL_BYTES_MAX]).is_ok());
    }

    #[test]
    fn ssrf_by_an_odd_spelling_of_a_local_address_is_refused() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "localhost",
            "LOCALHOST",
            "a.localhost",
            "%6cocalhost",
            "%31%32%37.0.0.1",
            "0x7f000001",
            "017700000001",
            "127.0.0.1.",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[::7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[::]",
            "10.0.0.1",
            "169.254.169.254",
            "[fd00:ec2::254]",
            "0",
            "①27.0.0.1",
        ] {
            let verdict = serve().check_url(&format!("https://{host}/"));
            assert!(matches!(verdict, Err(Refusal::Address { .. })), "{host}: {verdict:?}");
        }
    }

    /// Each URL is called exactly as it was judged, or refused.
    #[test]
    fn what_other_programs_might_read_in_another_way_is_refused_or_has_one_meaning() {
        let called = |url: &str| serve().check_url(url).map(|url| url.to_string()).map_err(|why| why.to_string());
        let verdicts = [
            "HTTPS://Hook.Example.NET:443/N?q=%2F",
            "https://bücher.example/ü",
            "https://ｈｏｏｋ.example/",
            "https://0x08.8.8.8/",
            "https://134744072/",
            "https://010.010.010.010/",
            "https://8.8.2056/",
            "https://[2606:4700::1111]:8443/",
            "https://hook.example.net/a/../b",
            "https:hook.example.net/",
            "https:/hook.example.net/",
            "https:////hook.example.net/n",
            "https:///n",
            "https://?n",
            "https://#n",
            "https://:443/",
            "https://@hook.example.net/",
            "https://u@hook.example.net/",
            "https://hook.example.net@10.0.0.1/",
            "https://10.0.0.1#@hook.example.net/",
            "https://hook.example.net/n#top",
            "https://hook.example.net./",
            "https://hook..example.net./",
            "https://hook.example.net:0/",
            "https://hook.example.net:65536/",
            "https://hook.example.net:8 0/",
            "https://hook.example.net:-1/",
            "https://[fe80::1%25eth0]/",
            "https://[2606:4700::1111%eth0]/",
            "https://[2606:4700::1111/",
            "https://256.256.256.256/",
            "https://1.2.3.4.5/",
            "https://08.8.8.8/",
            "https://hook.example.net\\@10.0.0.1/",
            "https://hook.example.net/\tn",
            "https://hook\u{ad}.example/",
            "https://xn--/",
            "https://hook_1.example.net/",
            "https://a%00b.example/",
            "//hook.example.net/",
            "data:text/plain,x",
        ];
        let verdicts = verdicts.map(|url| match called(url) {
            Ok(as_called) => format!("{url:?} is called as {as_called}"),
            Err(why) => format!("{url:?}: {why}"),
        });
        insta::assert_snapshot!("odd_urls", verdicts.join("\n"));
    }

    #[test]
    fn dev_opens_loopback_and_private_but_no_more() {
        for host in ["127.0.0.1", "localhost", "[::1]", "192.168.1.2", "[fd00::1]"] {
            assert!(dev().check_url(&format!("http://{host}/")).is_ok(), "{host}");
        }
        for host in
            ["169.254.1.1", "169.254.169.254", "[fd00:ec2::254]", "100.64.0.1", "224.0.0.1", "0.0.0.0", "168.63.129.16"]
        {
            assert!(dev().check_url(&format!("http://{host}/")).is_err(), "{host}");
        }
    }

    #[test]
    fn private_networks_open_with_one_switch() {
        let policy = Policy { allow_private: true, ..Policy::default() };
        for (address, ok) in [("10.1.2.3", true), ("fd12::1", true), ("127.0.0.1", false), ("fd00:ec2::254", false)] {
            assert_eq!(policy.check_address("h", address.parse().unwrap()).is_ok(), ok, "{address}");
        }
    }

    #[test]
    fn a_name_or_network_is_opened_exactly() {
        let policy = allowing(&["Hooks.Internal", "10.1.0.0/16", "127.0.0.1", "169.254.0.0/16"]);
        let ok = |host: &str, address: &str| policy.check_address(host, address.parse().unwrap()).is_ok();
        assert!(ok("hooks.internal", "10.9.9.9") && ok("hooks.internal.", "127.0.0.9"));
        assert!(!ok("a.hooks.internal", "10.9.9.9") && !ok("hooks.internal.evil.example", "10.9.9.9"));
        assert!(ok("any", "10.1.2.3") && !ok("any", "10.2.0.1"));
        assert!(ok("any", "127.0.0.1") && ok("any", "::ffff:127.0.0.1") && !ok("any", "127.0.0.2"));
        assert!(ok("any", "169.254.7.7") && !ok("any", "169.254.169.254"));
        assert_eq!(policy.localhost("localhost"), ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(policy.check_url("http://127.0.0.1/").is_err(), "a named host does not open plain HTTP");
    }

    #[test]
    fn theft_of_cloud_credentials_needs_the_operator_to_name_their_very_address() {
        let metadata =
            ["169.254.169.254", "::ffff:169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254"];
        let closed = [
            dev(),
            Policy { dev: true, allow_private: true, ..Policy::default() },
            allowing(&["169.254.0.0/16", "0.0.0.0/0", "::/0", "hook.example.net"]),
        ];
        for address in metadata.map(|address| address.parse().unwrap()) {
            for policy in &closed {
                assert!(policy.check_address("hook.example.net", address).is_err(), "{address}");
            }
            let named = allowing(&[&address.to_string()]);
            assert_eq!(named.check_address("hook.example.net", address), Ok(()), "{address}");
        }
        assert!(allowing(&["169.254.169.254"]).check_url("https://169.254.169.254/").is_ok());
    }

    #[test]
    fn what_is_no_host_or_network_is_not_taken() {
        for text in ["", "*.example.net", "10.0.0.0/33", "a b", "http://h/"] {
            assert_eq!(text.parse::<Allowed>(), Err(InvalidAllowed), "{text:?}");
        }
    }

    #[test]
    fn reasons_are_readable() {
        insta::assert_snapshot!(refusal(&serve(), "https://127.1/"), @"127.0.0.1 is a loopback address; it is called only if it is allowed by name");
        let refusal = serve().check_address("hook.example.net", "10.0.0.7".parse().unwrap()).unwrap_err();
        insta::assert_snapshot!(refusal, @"hook.example.net resolves to 10.0.0.7, which is a private address; it is called only if it is allowed by name");
    }

    /// An IPv4 address as browsers' standard lets one write it: in one to four numbers, each in one of three bases.
    fn spelled((address, parts, bases): (Ipv4Addr, usize, [u8; 4])) -> String {
        let octets = address.octets();
        let last = octets[parts - 1..].iter().fold(0_u32, |number, octet| number << 8 | u32::from(*octet));
        let numbers = octets[..parts - 1].iter().map(|octet| u32::from(*octet)).chain([last]);
        let spell = |(number, base): (u32, &u8)| match base {
            0 => number.to_string(),
            1 => format!("0{number:o}"),
            2 => format!("0x{number:x}"),
            _ => format!("0X{number:08X}"),
        };
        numbers.zip(&bases).map(spell).collect::<Vec<_>>().join(".")
    }

    /// The same in other characters that a host name may be written in.
    fn disguised(text: &str, how: u8) -> String {
        let disguise = |character: char| match how {
            0 => character.to_string(),
            1 => format!("%{:02X}", u32::from(character)),
            2 => char::from_u32(u32::from(character) + 0xfee0).unwrap_or(character).to_string(),
            _ if character == '.' => "\u{3002}".to_owned(),
            _ => character.to_string(),
        };
        text.chars().map(disguise).collect()
    }

    proptest! {
        #[test]
        fn ssrf_by_an_odd_spelling_is_judged_as_the_address_that_is_called(
            bits in any::<u32>(), parts in 1..=4_usize, bases in any::<[u8; 4]>(), how in 0..4_u8,
        ) {
            let address = Ipv4Addr::from_bits(bits);
            let host = disguised(&spelled((address, parts, bases.map(|base| base % 4))), how);
            match serve().check_url(&format!("https://{host}/")) {
                Ok(url) => {
                    prop_assert_eq!(url.host(), Some(Host::Ipv4(address)), "{}", host);
                    prop_assert_eq!(classify(address.into()), None, "{}", host);
                }
                Err(refusal) => prop_assert!(
                    classify(address.into()).is_some() && matches!(refusal, Refusal::Address { .. }),
                    "{host}: {refusal}"
                ),
            }
        }

        #[test]
        fn any_text_gets_a_verdict(text in "\\PC{0,80}", host in "[0-9a-fx.:\\[\\]]{0,24}") {
            let _ = serve().check_url(&text);
            if let Ok(url) = serve().check_url(&format!("https://{host}/")) {
                let literal = match url.host() {
                    Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
                    Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
                    _ => None,
                };
                prop_assert!(literal.and_then(classify).is_none(), "{url}");
            }
        }
    }
}
