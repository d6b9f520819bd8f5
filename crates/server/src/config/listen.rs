//! Where the server listens.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::bail;
use serde::Deserialize;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    pub https: Vec<SocketAddr>,
    pub http: Vec<SocketAddr>,
    pub admin: SocketAddr,
    /// No LMTP if absent.
    pub lmtp: Option<SocketAddr>,
    /// Metrics and health, for everybody who reaches it; with the admin token they are on `admin`, too.
    pub metrics: Option<SocketAddr>,
    pub drain_notice_seconds: u64,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            https: vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, 443))],
            http: Vec::new(),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            lmtp: None,
            metrics: None,
            drain_notice_seconds: 0,
        }
    }
}

impl Listen {
    /// Nothing can listen where something else does.
    pub(super) fn check_places(&self) -> anyhow::Result<()> {
        let lists = [("https", &self.https), ("http", &self.http)];
        let lists = lists.into_iter().flat_map(|(key, list)| list.iter().map(move |address| (key, *address)));
        let optional = [("lmtp", self.lmtp), ("metrics", self.metrics)];
        let optional = optional.into_iter().filter_map(|(key, address)| Some((key, address?)));
        let places: Vec<_> = lists.chain([("admin", self.admin)]).chain(optional).collect();
        for (nth, (key, address)) in places.iter().enumerate() {
            if let Some((before, other)) = places[..nth].iter().find(|(_, other)| overlap(*other, *address)) {
                bail!(
                    "listen.{before} has {other} and listen.{key} has {address}, which are one place: change one of them"
                );
            }
        }
        Ok(())
    }
}

/// Whether what listens at one address takes what comes for the other. Port 0 stands for one that is free.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let (ip, other_ip) = (one.ip(), other.ip());
    let is_any = (ip.is_unspecified() || other_ip.is_unspecified()) && ip.is_ipv4() == other_ip.is_ipv4();
    one.port() == other.port() && one.port() != 0 && (ip == other_ip || is_any)
}
