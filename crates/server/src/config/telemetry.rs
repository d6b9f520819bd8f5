//! The section `telemetry`: where traces go.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;
use url::{Host, Url};

use crate::outbound::{OutboundConfig, Policy};
use crate::telemetry::traces::{Limits, TracesConfig};

const NAME_CHARS_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// The base URL of an OTLP receiver. Absent: nothing is traced.
    pub otlp_endpoint: Option<String>,
    pub otlp_headers_file: Option<PathBuf>,
    pub ca_files: Vec<PathBuf>,
    pub service_name: String,
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_headers_file: None,
            ca_files: Vec::new(),
            service_name: "tidings".to_owned(),
            sample_ratio: 1.0,
        }
    }
}

impl Telemetry {
    /// `None`: nothing is traced.
    pub fn traces(&self) -> anyhow::Result<Option<TracesConfig>> {
        let ratio = self.sample_ratio;
        ensure!((0.0..=1.0).contains(&ratio), "telemetry.sample_ratio is {ratio}: give 0 to 1");
        let name = &self.service_name;
        ensure!(
            !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX,
            "telemetry.service_name must have 1 to {NAME_CHARS_MAX} characters"
        );
        let Some(endpoint) = &self.otlp_endpoint else {
            ensure!(
                self.otlp_headers_file.is_none() && self.ca_files.is_empty(),
                "telemetry.otlp_headers_file and telemetry.ca_files are of use only with telemetry.otlp_endpoint"
            );
            return Ok(None);
        };
        let (url, host) = place(endpoint)?;
        let policy =
            Policy::of_operator(host.parse().context("telemetry.otlp_endpoint has a host that cannot be called")?);
        Ok(Some(TracesConfig {
            url,
            outbound: OutboundConfig { policy, ca_files: self.ca_files.clone(), ..OutboundConfig::default() },
            headers_file: self.otlp_headers_file.clone(),
            service_name: name.clone(),
            sample_ratio: ratio,
            limits: Limits::default(),
        }))
    }
}

/// The URL for spans below the base URL, and its host. What the text says is not repeated: it may have a password in it.
fn place(endpoint: &str) -> anyhow::Result<(String, String)> {
    let hint = "give the base URL of an OTLP receiver by HTTP, such as http://127.0.0.1:4318";
    let url = Url::parse(endpoint).ok().with_context(|| format!("telemetry.otlp_endpoint is no URL: {hint}"))?;
    ensure!(matches!(url.scheme(), "http" | "https"), "telemetry.otlp_endpoint is no URL of HTTP or HTTPS: {hint}");
    ensure!(
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none(),
        "telemetry.otlp_endpoint has a user name, a query or a fragment: keep what the collector asks for as a header in a \
         file, and name that file as telemetry.otlp_headers_file"
    );
    let host = match url.host() {
        Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        _ => bail!("telemetry.otlp_endpoint has no host: {hint}"),
    };
    Ok((format!("{}/v1/traces", url.as_str().trim_end_matches('/')), host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Option<TracesConfig>> {
        toml::from_str::<Telemetry>(text)?.traces()
    }

    #[test]
    fn nothing_is_traced_unless_a_collector_is_named() {
        assert!(read("").unwrap().is_none());
        let traces = |endpoint: &str| read(&format!("otlp_endpoint = \"{endpoint}\"")).unwrap().unwrap();
        assert_eq!(traces("http://127.0.0.1:4318").url, "http://127.0.0.1:4318/v1/traces");
        assert_eq!(traces("https://otlp.example/otlp/").url, "https://otlp.example/otlp/v1/traces");
    }

    #[test]
    fn a_collector_may_be_wherever_it_was_named_except_where_machines_read_their_credentials() {
        for host in ["localhost", "127.0.0.1", "[::1]", "10.0.0.7", "otlp.example"] {
            let traces = read(&format!("otlp_endpoint = \"http://{host}:4318\"")).unwrap().unwrap();
            assert!(traces.outbound.policy.check_url(&traces.url).is_ok(), "{host}");
        }
        let named = read("otlp_endpoint = \"http://otlp.example\"").unwrap().unwrap().outbound.policy;
        assert!(named.check_address("otlp.example", "10.0.0.7".parse().unwrap()).is_ok());
        assert!(named.check_address("otlp.example", "169.254.169.254".parse().unwrap()).is_err());
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_change() {
        let refusals = [
            "otlp_endpoint = \"collector:4318\"",
            "otlp_endpoint = \"grpc://collector:4317\"",
            "otlp_endpoint = \"\"",
            "otlp_endpoint = \"https://user:canary@otlp.example\"",
            "otlp_endpoint = \"https://otlp.example/?api-key=canary\"",
            "otlp_headers_file = \"/etc/tidings/otlp-headers\"",
            "sample_ratio = 1.5",
            "sample_ratio = nan",
            "service_name = \"\"",
        ]
        .map(|text| format!("{:#}", read(text).err().expect(text)));
        assert!(!refusals.join("\n").contains("canary"));
        insta::assert_snapshot!(refusals.join("\n"));
        assert!(format!("{:#}", read("endpoint = \"x\"").err().unwrap()).contains("unknown field `endpoint`"));
    }
}
