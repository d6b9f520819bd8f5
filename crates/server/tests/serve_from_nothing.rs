//! The server for production, from an empty data directory: tenants, users, apps and consents by the
//! program's commands, while it runs and while it does not.

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{Client, get};
use tidings_server::seed;

/// A running `tidings serve`; killed when dropped.
struct Serve {
    child: Child,
    http: String,
}

impl Serve {
    fn start(dir: &Path) -> Self {
        let config = dir.join("tidings.toml");
        let listen = "https = []\nhttp = [\"127.0.0.1:0\"]\nadmin = \"127.0.0.1:0\"";
        let (data, key) = (dir.join("data").display().to_string(), dir.join("key").display().to_string());
        std::fs::write(&config, format!("data_dir = {data:?}\nkey_file = {key:?}\n[listen]\n{listen}\n")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidings"))
            .args(["serve", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut said = BufReader::new(child.stderr.take().expect("its messages are read")).lines();
        let mut address = String::new();
        for line in said.by_ref().map_while(Result::ok) {
            if let Some(found) = line.strip_prefix("tidings listens on ") {
                address = found.to_owned();
            }
            if line.starts_with("tidings serves its admin API") {
                break;
            }
        }
        std::thread::spawn(move || said.for_each(drop));
        Self { child, http: format!("http://{address}") }
    }

    fn stop(mut self) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
        assert_eq!(self.child.wait().expect("the process ends").code(), Some(0));
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command on the data directory.
fn tidings(dir: &Path, line: &str) -> Result<Value, String> {
    let out = Command::new(env!("CARGO_BIN_EXE_tidings"))
        .args(line.split(' '))
        .arg("--data-dir")
        .arg(dir.join("data"))
        .output()
        .expect("the program runs");
    match out.status.success() {
        true => Ok(serde_json::from_slice(&out.stdout).unwrap_or_default()),
        false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
    }
}

async fn token(client: &Client, http: &str, app: &Value) -> Option<String> {
    let field = |name: &str| app[name].as_str().unwrap().to_owned();
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
        field("appId"),
        field("secret"),
        "https%3A%2F%2Fgraph.microsoft.com%2F.default"
    );
    let url = format!("{http}/contoso.test/oauth2/v2.0/token");
    let body: Value = serde_json::from_str(&support::post_form(client, &url, form).await.unwrap()).unwrap();
    body["access_token"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_server_becomes_one_that_apps_work_with() {
    let made = tempfile::tempdir().unwrap();
    let (dir, client) = (made.path(), Client::new());
    let refused = tidings(dir, "tenant list").unwrap_err();
    assert!(refused.contains("there is no data directory"), "{refused}");

    let serve = Serve::start(dir);
    tidings(dir, "tenant add contoso.test").unwrap();
    let megan = tidings(dir, "user add megan@contoso.test --json").unwrap();
    let app = tidings(dir, "app add archive --secret --json").unwrap();
    let id = app["appId"].as_str().unwrap().to_owned();
    tidings(dir, &format!("consent grant {id} Mail.ReadWrite --application")).unwrap();
    let bearer = token(&client, &serve.http, &app).await.expect("the new app gets a token");
    let messages = format!("{}/v1.0/users/megan@contoso.test/messages", serve.http);
    let (status, body) = get(&client, &messages, &bearer).await.unwrap();
    assert_eq!((status, &body["value"]), (200, &json!([])), "{body}");
    serve.stop();

    let listed = tidings(dir, "user list --tenant contoso.test --json").unwrap();
    assert_eq!(listed["value"], json!([megan]));
    tidings(dir, "user add adele@contoso.test --name Adele").unwrap();
    tidings(dir, "user remove megan@contoso.test --yes").unwrap();
    let twice = tidings(dir, "tenant add contoso.test").unwrap_err();
    assert!(twice.contains("another tenant has the domain contoso.test"), "{twice}");

    let serve = Serve::start(dir);
    let bearer = token(&client, &serve.http, &app).await.expect("the app is still there");
    let messages = |user: &str| format!("{}/v1.0/users/{user}@contoso.test/messages", serve.http);
    let adele = get(&client, &messages("adele"), &bearer).await.unwrap();
    let megan = get(&client, &messages("megan"), &bearer).await.unwrap();
    assert_eq!((adele.0, megan.0), (200, 404), "{adele:?} {megan:?}");
    tidings(dir, &format!("app remove {id}")).unwrap();
    assert_eq!(token(&client, &serve.http, &app).await, None, "a removed app is gone at once");
    serve.stop();
    assert_ne!(seed::APP.to_string(), id, "no development app was planted");
}
