//! The description of Event Grid's surface, at a path of its own: it has other hosts than Graph in Azure, and here other
//! tokens, other errors and no version in its paths, so that who makes a client of it wants one for itself.

mod schemas;

use std::sync::OnceLock;

use axum::response::Response;
use protocol::event_grid::pull::{API_VERSIONS, RELEASE_DELAYS_SECONDS};
use serde_json::{Map, Value, json};

use super::told;
use crate::http::event_grid::routes::{ALL, Body, Operation, Served};

/// Where the description is.
pub const PATH: &str = "/event-grid/openapi.json";

const DESCRIPTION: &str = "Partner topics in the manner of Azure Event Grid: their management as Azure's Resource \
    Manager has it, and publishing and pulling as Event Grid's namespaces have them. Tidings is not affiliated with \
    Microsoft. The fixed parts of paths may come in any case.";

/// Who may, which follows from where an operation lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plane {
    Data,
    Management,
    /// Whoever has the code.
    Callback,
}

impl Plane {
    fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("topics") => Self::Data,
            Some("subscriptions") => Self::Management,
            _ => Self::Callback,
        }
    }

    fn security(self) -> Value {
        match self {
            Self::Data => json!([{ "key": [] }, { "bearer": [] }]),
            Self::Management => json!([{ "bearer": [] }]),
            Self::Callback => json!([]),
        }
    }

    fn api_version(self) -> Option<Value> {
        match self {
            Self::Data => Some(json!({ "type": "string", "enum": API_VERSIONS })),
            Self::Management => Some(json!({
                "type": "string",
                "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?$",
                "examples": ["2025-02-15"],
            })),
            Self::Callback => None,
        }
    }

    fn needs(self) -> &'static str {
        match self {
            Self::Data => {
                "Needs a key of the topic, a shared access signature made with one, or a token for \
                 https://eventgrid.azure.net/.default of an app of the topic's or of an administrator."
            }
            Self::Management => {
                "Needs a token for https://management.azure.com/.default of an app of the topic's or of an administrator."
            }
            Self::Callback => "Needs no token: the code, which counts once, says enough.",
        }
    }
}

/// The answer to whoever asks for the description.
pub fn answer() -> Response {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    told(&TEXT, description)
}

/// The description.
pub fn description() -> Value {
    let mut paths = Map::new();
    for served in &ALL {
        let of = |operation: &Operation| (operation.method.to_ascii_lowercase(), described(served, operation));
        let operations: Map<String, Value> = served.operations.iter().map(of).collect();
        paths.insert(served.path.to_owned(), Value::Object(operations));
    }
    let refused = json!({
        "description": "Refused; the error says why.",
        "content": { "application/json": { "schema": schemas::named("Error") } },
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Event Grid of Tidings",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "key": { "type": "apiKey", "in": "header", "name": "aeg-sas-key" },
            },
            "responses": { "refused": refused },
            "schemas": schemas::all(),
        },
    })
}

fn described(served: &Served, operation: &Operation) -> Value {
    let plane = Plane::of(served.path);
    let mut responses = json!({ "4XX": { "$ref": "#/components/responses/refused" } });
    for (status, schema) in operation.answers {
        let mut response = json!({ "description": "Done." });
        if let Some(name) = schema {
            response["content"] = json!({ "application/json": { "schema": schemas::named(name) } });
        }
        responses[status.to_string()] = response;
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "description": plane.needs(),
        "security": plane.security(),
        "parameters": parameters(served, operation, plane),
        "responses": responses,
    });
    match operation.body {
        Body::None => {}
        Body::Json(name) => {
            let content = json!({ "application/json": { "schema": schemas::named(name) } });
            described["requestBody"] = json!({ "required": true, "content": content });
        }
        Body::Events => {
            let content = json!({
                "application/cloudevents+json": { "schema": schemas::named("CloudEvent") },
                "application/cloudevents-batch+json": { "schema": schemas::named("CloudEvents") },
            });
            described["requestBody"] = json!({
                "description": "Or one event in binary mode: its attributes as headers ce-…, its data as the body.",
                "required": true,
                "content": content,
            });
        }
    }
    described
}

fn parameters(served: &Served, operation: &Operation, plane: Plane) -> Vec<Value> {
    let parameter = |name: &str, place: &str, required: bool, schema: Value| json!({ "name": name, "in": place, "required": required, "schema": schema });
    let names = served.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let in_path = names.map(|name| parameter(name, "path", true, json!({ "type": "string", "minLength": 1 })));
    let version = plane.api_version().map(|schema| parameter("api-version", "query", true, schema));
    let options = operation.query.iter().map(|option| {
        let name = option.trim_end_matches('!');
        let schema = match name {
            "maxEvents" => json!({ "type": "integer", "minimum": 1, "maximum": 100, "default": 1 }),
            "maxWaitTime" => json!({ "type": "integer", "minimum": 10, "maximum": 120, "default": 60 }),
            "releaseDelayInSeconds" => json!({ "type": "integer", "enum": RELEASE_DELAYS_SECONDS, "default": 0 }),
            _ => json!({ "type": "string" }),
        };
        parameter(name, "query", name != *option, schema)
    });
    in_path.chain(version).chain(options).collect()
}
