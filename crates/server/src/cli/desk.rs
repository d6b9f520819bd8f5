//! Where the directory is changed: the admin API of a running server, or the same operations in this
//! process on the data of a stopped one.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{anyhow, bail, ensure};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::client::{Call, Client};
use super::place::{Found, Place, Running, Server};
use crate::admin::directory_router;
use crate::directory::Directory;

pub struct Desk {
    clerk: Clerk,
    /// Where that is, in words.
    place: String,
}

enum Clerk {
    Running { client: Client, admin: String, token: String },
    Stopped(Router),
}

impl Clerk {
    fn of(server: &Server) -> anyhow::Result<Self> {
        let admin = server.admin.trim().trim_end_matches('/').trim_end_matches("/admin").to_owned();
        Ok(Self::Running { client: Client::new(None)?, admin, token: server.token.trim().to_owned() })
    }
}

impl Desk {
    pub fn open(place: &Place) -> anyhow::Result<Self> {
        let clerk = match place.find()? {
            Found::Server(server) => Clerk::of(&server)?,
            Found::Store(store, clock) => Clerk::Stopped(directory_router(Directory::new(store, clock))),
        };
        Ok(Self { clerk, place: place.named()? })
    }

    /// Of a running server; `what` only such a one does.
    pub fn of_running(running: &Running, what: &str) -> anyhow::Result<Self> {
        Ok(Self { clerk: Clerk::of(&running.find(what)?)?, place: running.named()? })
    }

    /// Whether a server runs on the data.
    pub fn is_of_running(&self) -> bool {
        matches!(self.clerk, Clerk::Running { .. })
    }

    /// The same, which waits long for an answer. It is for who answers at all: a server that hangs is found out first.
    pub async fn patient(self) -> anyhow::Result<Self> {
        let clerk = match self.clerk {
            Clerk::Running { client, admin, token } => {
                let url = format!("{admin}/healthz");
                client.send(Call { method: Method::GET, url: &url, token: None, body: None }).await?;
                Clerk::Running { client: client.patient(), admin, token }
            }
            stopped @ Clerk::Stopped(_) => stopped,
        };
        Ok(Self { clerk, ..self })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.call(Method::DELETE, path, None).await.map(drop)
    }

    /// `path` is what follows `/admin/`. A refusal is an error with the words of the API.
    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let (status, answer) = match &self.clerk {
            Clerk::Running { client, admin, token } => {
                let url = format!("{admin}/admin/{path}");
                let body = body.map(|body| ("application/json", body));
                let answer = client.send(Call { method, url: &url, token: Some(token), body }).await?;
                (answer.status, answer.body)
            }
            Clerk::Stopped(router) => {
                let request = Request::builder()
                    .method(method)
                    .uri(format!("/admin/{path}"))
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Body::from(body.unwrap_or_default()))?;
                let answer = router.clone().oneshot(request).await?;
                (answer.status(), answer.into_body().collect().await?.to_bytes())
            }
        };
        let read = read(status, &answer).map_err(|error| anyhow!(in_options(&error.to_string())));
        read.map_err(|error| match status {
            // What is not there may be elsewhere.
            StatusCode::NOT_FOUND => {
                anyhow!("{error} (in {}; --data-dir DIR, or --server URL, names another place)", self.place)
            }
            _ => error,
        })
    }
}

fn read(status: StatusCode, answer: &[u8]) -> anyhow::Result<Value> {
    if status == StatusCode::NO_CONTENT {
        return Ok(Value::Null);
    }
    let value: Value =
        serde_json::from_slice(answer).map_err(|_| anyhow!("the server answers {status} and no JSON"))?;
    if status.is_success() {
        return Ok(value);
    }
    match &value["error"] {
        Value::String(why) => bail!("{why}"),
        // As the API for apps writes it.
        Value::Object(_) => {
            bail!(
                "that is the API for apps; --server URL names the admin API, whose address the server prints at its start"
            )
        }
        _ => bail!("the server answers {status}: {value}"),
    }
}

/// What the admin API calls what options of commands give.
const OPTIONS: [(&str, &str); 26] = [
    ("$top", "--top"),
    ("accessTokenVersion", "--token-version"),
    ("azureSubscription", "--azure-subscription"),
    ("blobContainerName", "--dead-letters"),
    ("by", "--by"),
    ("changeType", "--change-type"),
    ("deadLetterDestination", "--dead-letters"),
    ("endpointUrl", "--webhook"),
    ("eventTimeToLiveInMinutes", "--ttl"),
    ("every", "--every"),
    ("id", "--id"),
    ("includedEventTypes", "--type"),
    ("kind", "--kind"),
    ("location", "--location"),
    ("maxDeliveryAttempts", "--max-attempts"),
    ("percent", "--percent"),
    ("reachedAt", "--reached-at"),
    ("replace", "--replace"),
    ("resource", "--resource"),
    ("resourceGroup", "--resource-group"),
    ("subjectBeginsWith", "--subject-begins-with"),
    ("tenant", "--tenant"),
    ("times", "--times"),
    ("until", "--until"),
    ("url", "--url"),
    ("with", "--with"),
];

/// A refusal that names members of the request, with the options that they were given by. What could be a word as well is
/// a member where it stands in double quotes.
fn in_options(refusal: &str) -> String {
    let is_member = |name: &str| name.contains(|letter: char| letter.is_ascii_uppercase() || letter == '$');
    OPTIONS.into_iter().fold(refusal.to_owned(), |told, (member, option)| {
        let told = told.replace(&format!("\"{member}\""), option);
        if is_member(member) { replaced(&told, member, option) } else { told }
    })
}

/// A text with another word in the place of one; what only has it within stays, and what stands in single quotes: a value.
fn replaced(text: &str, word: &str, by: &str) -> String {
    let is_part = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || letter == '\'');
    let (mut told, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let is_word = !is_part(before.chars().next_back()) && !is_part(after.chars().next());
        told.push_str(before);
        told.push_str(if is_word { by } else { word });
        rest = after;
    }
    told + rest
}

/// Asks, unless that was answered already; where nobody can answer, nothing is done.
pub fn confirmed(yes: bool, question: &str) -> anyhow::Result<()> {
    if yes {
        return Ok(());
    }
    ensure!(std::io::stdin().is_terminal(), "{question} Say so with --yes");
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    ensure!(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()), "nothing was removed");
    Ok(())
}

/// A part of a path or a query, with what has a meaning there encoded.
pub fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// A path with the options that are given.
pub fn query(path: &str, options: &[(&str, Option<String>)]) -> String {
    let given = options.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_deref()?))));
    let given = given.collect::<Vec<_>>().join("&");
    if given.is_empty() { path.to_owned() } else { format!("{path}?{given}") }
}

/// How a command shows what it is answered.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Output {
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

impl Output {
    /// Prints the answer as it is, or the way people read it.
    pub fn print(self, answer: &Value, for_people: impl FnOnce(&Value) -> String) {
        let text = if self.json { format!("{answer:#}\n") } else { for_people(answer) };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Whoever reads has seen enough: `| head`.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                eprintln!("tidings: cannot print: {error}");
                std::process::exit(1);
            }
            _ => {}
        }
    }

    /// The entries of a list: a line for each, and a remark if there are more.
    pub fn print_list(self, answer: &Value, line: impl Fn(&Value) -> String) {
        self.print(answer, |answer| {
            let mut text = String::new();
            for entry in answer["value"].as_array().into_iter().flatten() {
                text.push_str(&line(entry));
                text.push('\n');
            }
            if answer["more"] == true {
                text.push_str("… and more\n");
            }
            text
        });
    }
}

/// A member of an answer as people read it, without what would move a terminal's cursor.
pub fn text(answer: &Value, member: &str) -> String {
    let shown = match &answer[member] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    shown.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Program {
        #[command(flatten)]
        place: Place,
    }

    #[test]
    fn an_answer_of_the_api_for_apps_says_that_the_address_is_the_wrong_one() {
        let answer = br#"{"error":{"code":"InvalidAuthenticationToken","message":"Access token is empty."}}"#;
        let refusal = read(StatusCode::UNAUTHORIZED, answer).unwrap_err().to_string();
        assert!(refusal.contains("--server URL names the admin API"), "{refusal}");
    }

    #[test]
    fn a_refusal_names_the_options_and_not_the_members_of_the_request() {
        for (refusal, told) in [
            (
                "\"with\" is for fail alone, and \"changeType\" for changes",
                "--with is for fail alone, and --change-type for changes",
            ),
            ("reachedAt must be the address of this server", "--reached-at must be the address of this server"),
            ("\"resourceGroup\" must have 1 to 90 letters", "--resource-group must have 1 to 90 letters"),
            ("$top is 0: give 1 to 1000", "--top is 0: give 1 to 1000"),
            ("there is no user 'url' with that id", "there is no user 'url' with that id"),
            ("endpointUrls are none of these", "endpointUrls are none of these"),
        ] {
            assert_eq!(in_options(refusal), told);
        }
    }

    #[test]
    fn options_that_are_not_given_leave_the_path_as_it_is() {
        assert_eq!(query("users", &[("tenant", None), ("after", None)]), "users");
        let given = [("tenant", Some("a.test".to_owned())), ("after", None), ("x", Some("b&c".to_owned()))];
        assert_eq!(query("users", &given), "users?tenant=a%2Etest&x=b%26c");
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_with_the_place_that_was_looked_in() {
        let (data, keys) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dir = data.path().display().to_string();
        let key = keys.path().join("key").display().to_string();
        let program = Program::try_parse_from(["p", "--data-dir", &dir, "--key-file", &key]).unwrap();
        let desk = Desk::open(&program.place).unwrap();
        let error = desk.get("users/nobody@contoso.test").await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "there is no user 'nobody@contoso.test'; give an id or an address (in {dir}; --data-dir DIR, or \
                 --server URL, names another place)"
            )
        );
        let error = desk.get("users").await.unwrap_err().to_string();
        assert_eq!(error, "there is no tenant; add one first (tidings tenant add)");
    }
}
