//! What a development server says when it is ready: a line with `--json`, and always a file in its data
//! directory, which `import` and `listen` read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::data_dir::READY_FILE;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// Base URLs, without a version: `http://127.0.0.1:8080`.
    pub http: Vec<String>,
    pub https: Vec<String>,
    /// The development CA; the operator's own certificate has none.
    pub ca: Option<PathBuf>,
    pub lmtp: Option<SocketAddr>,
    /// The admin listener's URL: `http://127.0.0.1:8081`.
    pub admin: String,
    pub admin_token: String,
    pub tenant: Tenant,
    pub app: App,
    pub users: Vec<User>,
    /// A user of the tenant of personal accounts.
    pub personal_user: User,
    /// Megan's, delegated.
    pub token: String,
    /// The app's own.
    pub app_token: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub id: String,
    pub domain: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    pub id: String,
    pub secret: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: String,
    pub upn: String,
    pub display_name: String,
}

impl From<store::User> for User {
    fn from(user: store::User) -> Self {
        Self { id: user.id.to_string(), upn: user.upn, display_name: user.display_name }
    }
}

impl Ready {
    /// The file that a running server keeps in its data directory.
    pub fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let file = data_dir.join(READY_FILE);
        let text = std::fs::read(&file).with_context(|| {
            format!(
                "no running server is known: cannot read {}; start `tidings dev`, name the data directory of one that \
                 runs with --data-dir DIR (`tidings dev --ephemeral` makes and prints its own), or name a server with \
                 --server URL and --token TOKEN",
                file.display()
            )
        })?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not a ready file", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts read this line.
    #[test]
    fn the_ready_line_has_a_fixed_shape() {
        let ready = Ready {
            http: vec!["http://127.0.0.1:8080".into()],
            https: vec!["https://127.0.0.1:8443".into()],
            ca: Some("/data/ca.pem".into()),
            lmtp: Some(([127, 0, 0, 1], 8024).into()),
            admin: "http://127.0.0.1:8081".into(),
            admin_token: "a".into(),
            tenant: Tenant { id: "t".into(), domain: "contoso.test".into() },
            app: App { id: "i".into(), secret: "secret".into() },
            users: vec![User { id: "u".into(), upn: "megan@contoso.test".into(), display_name: "Megan Bowen".into() }],
            personal_user: User { id: "p".into(), upn: "lynne@personal.test".into(), display_name: "Lynne".into() },
            token: "x".into(),
            app_token: "y".into(),
        };
        let line = r#"{"http":["http://127.0.0.1:8080"],"https":["https://127.0.0.1:8443"],"ca":"/data/ca.pem","#
            .to_owned()
            + r#""lmtp":"127.0.0.1:8024","admin":"http://127.0.0.1:8081","adminToken":"a","#
            + r#""tenant":{"id":"t","domain":"contoso.test"},"app":{"id":"i","secret":"secret"},"#
            + r#""users":[{"id":"u","upn":"megan@contoso.test","displayName":"Megan Bowen"}],"#
            + r#""personalUser":{"id":"p","upn":"lynne@personal.test","displayName":"Lynne"},"token":"x","appToken":"y"}"#;
        assert_eq!(serde_json::to_string(&ready).unwrap(), line);
    }
}
