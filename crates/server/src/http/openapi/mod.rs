//! The description of the Graph surface in OpenAPI, at `/openapi.json` for everybody. It is made of the one
//! table of routes and of Graph's metadata, not written by hand.

pub mod event_grid;
mod routes;
mod schemas;

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::OnceLock;

use axum::body::Body;
use axum::response::Response;
use graph::Kind;
use graph::path::{self, FolderAction, ItemAction, ItemPart, Resource, UserPart};
use http::{HeaderValue, header};
use notify::access::{self, Names, Need, Row};
use serde_json::{Map, Value, json};

pub use routes::{Answer, Body as RequestBody, Route};

/// Where the description is.
pub const PATH: &str = "/openapi.json";

/// What everybody may read, without a token.
const OPEN: &str = "/$metadata";

const DESCRIPTION: &str = "Messages, events, contacts and change notifications in the manner of Microsoft Graph, for \
    apps that work with Graph. Tidings is not affiliated with Microsoft. Names of path segments and properties may \
    come in any case, and keys in parentheses: /me/messages('{id}').";

/// The answer to whoever asks for the description.
pub fn answer() -> Response {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    told(&TEXT, description)
}

/// A description, which is made once.
fn told(text: &'static OnceLock<Vec<u8>>, description: fn() -> Value) -> Response {
    let text = text.get_or_init(|| serde_json::to_vec(&description()).unwrap_or_default());
    let mut response = Response::new(Body::from(text.as_slice()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// All routes that are served.
pub fn routes() -> &'static [Route] {
    static ROUTES: OnceLock<Vec<Route>> = OnceLock::new();
    ROUTES.get_or_init(routes::all)
}

/// The methods that a path is served with, for `Allow`. The path begins with its version.
pub fn allowed(path: &str) -> String {
    let (_, below) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let Ok(asked) = path::parse(below) else { return String::new() };
    let asked = shape(&asked);
    let of_same_shape = |route: &&Route| path::parse(&sample_path(route)).is_ok_and(|known| shape(&known) == asked);
    let mut methods: Vec<&str> = routes().iter().filter(of_same_shape).map(|route| route.method).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

/// A path of a route, with keys that can be read.
pub fn sample_path(route: &Route) -> String {
    let owner = if route.in_mailbox { "me" } else { "" };
    let mut sample = owner.to_owned();
    for segment in route.path.split('/').filter(|segment| !segment.is_empty()) {
        let key = segment.starts_with('{');
        sample = format!("{sample}/{}", if key { "AQMkAAAA" } else { segment });
    }
    sample.replace("{startDateTime}", "2026-12-01").replace("{endDateTime}", "2026-12-02")
}

/// The path of the table's first route for what is addressed, in place of what a caller wrote; "other": it has none.
pub fn template(resource: &Resource) -> &'static str {
    static TEMPLATES: OnceLock<HashMap<Shape, &'static str>> = OnceLock::new();
    let templates = TEMPLATES.get_or_init(|| {
        let routes = routes().iter().rev();
        let known =
            routes.filter_map(|route| Some((shape(&path::parse(&sample_path(route)).ok()?), route.path.as_str())));
        known.collect()
    });
    templates.get(&shape(resource)).copied().unwrap_or("other")
}

/// What kind of thing a path addresses, whoever has it and wherever it lies: resources that are served by
/// the same methods are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    resource: Discriminant<Resource>,
    kind: Option<Kind>,
    below: Below,
}

/// What tells resources of one variant apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Below {
    Nothing,
    Nested(bool),
    OfUser(Discriminant<UserPart>),
    OfItem(Discriminant<ItemPart>),
    ItemAction(Discriminant<ItemAction>),
    FolderAction(Discriminant<FolderAction>),
}

pub fn shape(resource: &Resource) -> Shape {
    let (kind, below) = match resource {
        Resource::OfUser { part, .. } => (None, Below::OfUser(discriminant(part))),
        Resource::Items { kind, .. }
        | Resource::ItemsDelta { kind, .. }
        | Resource::ItemsCount { kind, .. }
        | Resource::FoldersDelta { kind, .. }
        | Resource::FoldersCount { kind, .. }
        | Resource::Folder { kind, .. } => (Some(*kind), Below::Nothing),
        Resource::Item(item) => (Some(item.kind), Below::Nothing),
        Resource::ItemAction { item, action } => (Some(item.kind), Below::ItemAction(discriminant(action))),
        Resource::OfItem { item, part } => (Some(item.kind), Below::OfItem(discriminant(part))),
        Resource::Folders { kind, parent, .. } => (Some(*kind), Below::Nested(parent.is_some())),
        Resource::FolderAction { kind, action, .. } => (Some(*kind), Below::FolderAction(discriminant(action))),
        _ => (None, Below::Nothing),
    };
    Shape { resource: discriminant(resource), kind, below }
}

/// The description.
pub fn description() -> Value {
    let mut paths = Map::new();
    for route in routes() {
        let owners: &[&str] = if route.in_mailbox { &["/me", "/users/{user-id}"] } else { &[""] };
        for owner in owners {
            let path = format!("{owner}{}", route.path);
            let methods = paths.entry(&path).or_insert_with(|| json!({}));
            methods[route.method.to_ascii_lowercase()] = operation(route, &path);
        }
    }
    let refused = json!({
        "description": "Refused; the error says why.",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/error" } } },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidings",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/v1.0" }, { "url": "/beta" }],
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            "responses": { "refused": refused },
            "schemas": schemas::all(),
        },
    })
}

fn operation(route: &Route, path: &str) -> Value {
    let mut responses = json!({ "4XX": { "$ref": "#/components/responses/refused" } });
    let (status, mut success) = success(route.answer);
    if let Answer::Made(entity) = route.answer {
        success["links"] = links(route, entity);
    }
    responses[status.to_string()] = success;
    let mut operation = json!({
        "operationId": operation_id(route, path),
        "summary": route.summary,
        "description": permissions(route, path),
        "parameters": parameters(route, path),
        "responses": responses,
    });
    if route.path == OPEN {
        operation["security"] = json!([]);
    }
    if let Some(body) = request_body(route.body) {
        operation["requestBody"] = body;
    }
    operation
}

/// What a token must hold for a route: a list for each kind of access, least privileged first, of which one
/// permission suffices.
fn permissions(route: &Route, path: &str) -> String {
    let Ok(resource) = path::parse(&sample_path(route)) else { return String::new() };
    let is_own = path.starts_with("/me");
    let rows =
        |needs: Vec<Need>| needs.into_iter().map(|need| row(need.row(is_own))).collect::<Vec<_>>().join(" And: ");
    match resource {
        Resource::Metadata => "Needs no token.".to_owned(),
        Resource::Batch => "Needs a token; each request in it has needs of its own.".to_owned(),
        Resource::Subscriptions | Resource::Subscription(_) | Resource::Reauthorize(_) => {
            let watched = |kind: Kind| format!("For {}s: {}", kind.type_name(), rows(vec![Need::Subscription(kind)]));
            format!(
                "Needs what reads the watched resource, all of it if its options name what basic access hides. \
                 includeResourceData needs a certificate, its id and a $select besides. {}",
                Kind::ALL.map(watched).join(" ")
            )
        }
        resource => rows(access::needs(route.method == "GET", &resource, true)),
    }
}

fn row(row: Row) -> String {
    let names = |names: Names| if names.is_empty() { "not supported".to_owned() } else { names.join(", ") };
    let [work, personal, application] = [row.work, row.personal, row.application].map(names);
    format!("Delegated: {work}. Delegated, personal account: {personal}. Application: {application}.")
}

/// Unique, and readable: `get.me.messages.message-id`.
fn operation_id(route: &Route, path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty()).map(|part| part.trim_matches(['{', '}', '$']));
    parts.fold(route.method.to_ascii_lowercase(), |id, part| format!("{id}.{part}"))
}

/// Where the id of what was made can be used: the routes below the owner's own mailbox, or none, that have
/// no other key.
fn links(made: &Route, entity: &str) -> Value {
    let key = format!("{entity}-id");
    let mut links = Map::new();
    for route in routes() {
        let keys: Vec<&str> = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        if keys == [key.as_str()] && route.in_mailbox == made.in_mailbox {
            let owner = if route.in_mailbox { "/me" } else { "" };
            let id = operation_id(route, &format!("{owner}{}", route.path));
            links.insert(id.clone(), json!({ "operationId": id, "parameters": { &key: "$response.body#/id" } }));
        }
    }
    Value::Object(links)
}

fn success(answer: Answer) -> (u16, Value) {
    let told = |description: &str, media: &str, schema: Value| json!({ "description": description, "content": { media: { "schema": schema } } });
    match answer {
        Answer::Entity(name) => (200, told("The entity.", "application/json", schemas::answered(name))),
        Answer::Made(name) => (201, told("Made.", "application/json", schemas::answered(name))),
        Answer::List(name) => (200, told("A page.", "application/json", schemas::page(name))),
        Answer::Status(status) => (status, json!({ "description": "Done; nothing is told." })),
        Answer::Object(status) => (status, told("Done.", "application/json", json!({ "type": "object" }))),
        Answer::Bytes(media) => (200, json!({ "description": "The content.", "content": { media: {} } })),
    }
}

fn request_body(body: RequestBody) -> Option<Value> {
    // Where every parameter may be left out, so may the body.
    let required = match body {
        RequestBody::Parameters(parameters) => parameters.iter().any(|(name, _)| name.ends_with('!')),
        _ => true,
    };
    let json_of =
        |schema: Value| json!({ "required": required, "content": { "application/json": { "schema": schema } } });
    match body {
        RequestBody::None => None,
        RequestBody::Entity(name) => Some(json_of(schemas::written(name))),
        RequestBody::Parameters(parameters) => Some(json_of(schemas::parameters(parameters))),
        RequestBody::Object => Some(json_of(json!({ "type": "object" }))),
        RequestBody::Bytes(media) => {
            let content: Map<String, Value> = media.iter().map(|media| ((*media).to_owned(), json!({}))).collect();
            Some(json!({ "required": true, "content": content }))
        }
    }
}

fn parameters(route: &Route, path: &str) -> Vec<Value> {
    let keys = path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<Value> = keys
        .map(|key| json!({ "name": key, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }))
        .collect();
    for option in route.query {
        let required = option.ends_with('!');
        let name = option.trim_end_matches('!');
        let schema = match name {
            "$top" => json!({ "type": "integer", "minimum": 1, "maximum": 1000 }),
            "$skip" => json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX }),
            "$count" | "includeHiddenFolders" => json!({ "type": "boolean" }),
            "startDateTime" | "endDateTime" => json!({ "type": "string", "format": "date-time" }),
            _ => json!({ "type": "string" }),
        };
        parameters.push(json!({ "name": name, "in": "query", "required": required, "schema": schema }));
    }
    parameters
}
