//! Every span that is exported, with its attributes, by OpenTelemetry's conventions. `docs/operations.md` says the same
//! to operators; a test holds the two together, and another one what is exported to them.
//!
//! What the conventions ask for and these spans leave out tells of people or holds secrets: `url.full`, `url.path`,
//! `url.query`, `client.address`, `user_agent.original`.

pub const REQUEST_METHOD: &str = "http.request.method";
pub const RESEND_COUNT: &str = "http.request.resend_count";
pub const STATUS_CODE: &str = "http.response.status_code";
pub const ROUTE: &str = "http.route";
pub const URL_SCHEME: &str = "url.scheme";
pub const PROTOCOL_VERSION: &str = "network.protocol.version";
pub const SERVER_ADDRESS: &str = "server.address";
pub const SERVER_PORT: &str = "server.port";
pub const ERROR_TYPE: &str = "error.type";
pub const DB_SYSTEM: &str = "db.system.name";
pub const DB_OPERATION: &str = "db.operation.name";
pub const MESSAGING_SYSTEM: &str = "messaging.system";
pub const MESSAGING_OPERATION: &str = "messaging.operation.name";
pub const MESSAGING_OPERATION_TYPE: &str = "messaging.operation.type";
pub const MESSAGE_COUNT: &str = "messaging.batch.message_count";

/// One kind of span.
#[derive(Clone, Copy, Debug)]
pub struct SpanKind {
    /// What it is called; braces stand for the value of an attribute.
    pub name: &'static str,
    /// OpenTelemetry's span kind.
    pub kind: &'static str,
    pub parent: &'static str,
    pub attributes: &'static [&'static str],
}

pub const SPANS: [SpanKind; 3] = [
    SpanKind {
        name: "{method} {route}",
        kind: "server",
        parent: "the caller's `traceparent`, or none",
        attributes: &[
            REQUEST_METHOD,
            ROUTE,
            STATUS_CODE,
            ERROR_TYPE,
            URL_SCHEME,
            SERVER_ADDRESS,
            SERVER_PORT,
            PROTOCOL_VERSION,
        ],
    },
    SpanKind {
        name: "COMMIT",
        kind: "client",
        parent: "the request that writes",
        attributes: &[DB_SYSTEM, DB_OPERATION, ERROR_TYPE],
    },
    SpanKind {
        name: "POST",
        kind: "client",
        parent: "none: each begins a trace",
        attributes: &[
            REQUEST_METHOD,
            STATUS_CODE,
            ERROR_TYPE,
            RESEND_COUNT,
            SERVER_ADDRESS,
            SERVER_PORT,
            URL_SCHEME,
            MESSAGING_SYSTEM,
            MESSAGING_OPERATION,
            MESSAGING_OPERATION_TYPE,
            MESSAGE_COUNT,
        ],
    },
];
