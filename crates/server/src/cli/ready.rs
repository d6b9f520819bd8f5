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

impl Ready {
    /// The file that a running server keeps in its data directory.
    pub fn read(data_dir: &Path) -> anyhow::Result<Self> {
        let file = data_dir.join(READY_FILE);
        let text = std::fs::read(&file).with_context(|| {
            format!(
                "no running server is known: cannot read {}; start `tidings dev`, or name a server with --server URL \
                 and --token TOKEN",
                file.display()
            )
        })?;
        serde_json::from_slice(&text).with_context(|| format!("{} is not a ready file", file.display()))
    }
}
