//! How receivers are called.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::outbound::{Allowed, ClientCertificate, OutboundConfig, Policy, ProxyConfig};

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    pub ca_files: Vec<PathBuf>,
    pub client_certificate: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    pub proxy: Option<String>,
    pub proxy_credentials_file: Option<PathBuf>,
    pub allow_private: bool,
    pub allow: Vec<String>,
}

impl Outbound {
    /// How receivers are called.
    pub(super) fn calls(&self) -> anyhow::Result<OutboundConfig> {
        let mut allow: Vec<Allowed> = Vec::new();
        for text in &self.allow {
            allow.push(text.parse().with_context(|| format!("outbound.allow has '{text}'"))?);
        }
        let policy = Policy { dev: false, allow_private: self.allow_private, allow };
        let ca_files = self.ca_files.clone();
        Ok(OutboundConfig { policy, ca_files, client_certificate: self.client_certificate()?, proxy: self.proxy()? })
    }

    fn client_certificate(&self) -> anyhow::Result<Option<ClientCertificate>> {
        match (self.client_certificate.clone(), self.client_key.clone()) {
            (Some(certificate), Some(key)) => Ok(Some(ClientCertificate { certificate, key })),
            (None, None) => Ok(None),
            _ => bail!("outbound.client_certificate and outbound.client_key go together: set both"),
        }
    }

    pub(super) fn proxy(&self) -> anyhow::Result<Option<ProxyConfig>> {
        let credentials_file = self.proxy_credentials_file.clone();
        let Some(place) = &self.proxy else {
            ensure!(credentials_file.is_none(), "outbound.proxy_credentials_file is of use only with outbound.proxy");
            return Ok(None);
        };
        Ok(Some(ProxyConfig { place: place.parse().context("outbound.proxy is not a proxy")?, credentials_file }))
    }
}
