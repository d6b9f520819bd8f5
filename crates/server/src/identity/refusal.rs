//! Every refusal of the issuer, and the one table that gives it the code, the words and the status of
//! Microsoft's endpoints.

use graph::Timestamp;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::scope::GRAPH_ID;

/// How much of what the caller sent is repeated to it, in characters.
const SHOWN_CHARS_MAX: usize = 128;

/// Why a token or a sign-in is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The body cannot be read, or a parameter stands in it twice.
    Malformed,
    Method,
    /// A parameter that must be there, or one of several.
    Missing(&'static str),
    /// A parameter with a value that it cannot have.
    Invalid(&'static str),
    TenantNotFound(String),
    /// The tenant segment is neither a GUID nor a domain.
    TenantMalformed(String),
    UnknownHost,
    GrantType(String),
    ResponseType(String),
    AppNotFound {
        app: String,
        tenant: String,
    },
    AppDisabled(String),
    NoCredential,
    WrongSecret(String),
    SecretExpired(String),
    AssertionMalformed,
    /// No certificate of the app has the thumbprint, or the signature is not its.
    AssertionSignature {
        app: String,
        thumbprint: String,
    },
    AssertionAudience,
    AssertionIssuer,
    AssertionTime,
    CertificateExpired,
    ScopeMissing,
    ScopeInvalid(String),
    /// A name that is none of Graph's, and what was probably meant.
    ScopeMisspelt {
        scope: String,
        meant: String,
    },
    /// A client-credentials request for anything but a `.default`.
    NotDefault(String),
    MixedDefault,
    ResourceNotFound {
        resource: String,
        tenant: String,
    },
    RedirectMismatch {
        app: String,
        redirect: String,
    },
    NoConsent {
        app: String,
        name: String,
    },
    CodeInvalid,
    CodeRedeemed,
    CodeExpired,
    RedirectChanged {
        sent: String,
    },
    Verifier,
    RefreshTokenInvalid,
    /// What was redeemed was issued before the user's sessions were ended.
    Revoked,
    UserDisabled,
    UserNotFound(String),
    /// `prompt=none`, and nobody is signed in.
    SignInNeeded,
    /// The person at the page declined.
    Declined,
    Pending,
    SlowDown,
    DeviceCodeExpired,
    DeviceCodeUnknown,
    Unavailable,
}

/// How a refusal looks on the wire.
struct Shape {
    status: StatusCode,
    /// In the words of RFC 6749 and its likes.
    error: &'static str,
    code: u32,
    text: String,
}

/// What a refusal is told with: the ids of the request, and when it was.
#[derive(Clone, Debug)]
pub struct Traced {
    pub trace: Uuid,
    pub correlation: String,
    pub now: Timestamp,
}

impl Refusal {
    pub fn status(&self) -> StatusCode {
        self.shape().status
    }

    /// The `error` of the protocol.
    pub fn error(&self) -> &'static str {
        self.shape().error
    }

    /// `AADSTS…: …`, for people.
    pub fn description(&self, traced: &Traced) -> String {
        let Shape { code, text, .. } = self.shape();
        let (trace, correlation, date) = (traced.trace, &traced.correlation, date(traced.now));
        format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {date}")
    }

    /// The number and the sentence, without the ids of the request.
    pub fn plain(&self) -> String {
        let Shape { code, text, .. } = self.shape();
        format!("AADSTS{code}: {text}")
    }

    pub fn body(&self, traced: &Traced) -> Value {
        let Shape { error, code, .. } = self.shape();
        json!({
            "error": error,
            "error_description": self.description(traced),
            "error_codes": [code],
            "timestamp": date(traced.now),
            "trace_id": traced.trace,
            "correlation_id": traced.correlation,
        })
    }

    fn shape(&self) -> Shape {
        match self {
            Refusal::Malformed => request(900144, "The request body cannot be read."),
            Refusal::Method => Shape {
                status: StatusCode::METHOD_NOT_ALLOWED,
                ..request(900561, "The endpoint only accepts POST requests.")
            },
            Refusal::Missing(name) => {
                request(900144, format!("The request body must contain the following parameter: '{name}'."))
            }
            Refusal::Invalid(name) => {
                request(9002313, format!("Invalid request. Request is malformed or invalid: '{name}'."))
            }
            Refusal::UnknownHost => shape("invalid_instance", 50049, "Unknown or invalid instance."),
            Refusal::GrantType(grant) => shape(
                "unsupported_grant_type",
                70003,
                format!("The app requested an unsupported grant type '{}'.", shown(grant)),
            ),
            Refusal::ResponseType(asked) => shape(
                "unsupported_response_type",
                70005,
                format!("The app asked for the response type '{}', which this server does not give.", shown(asked)),
            ),
            Refusal::Unavailable => Shape {
                status: StatusCode::SERVICE_UNAVAILABLE,
                ..shape("temporarily_unavailable", 90033, "The service is temporarily unavailable.")
            },
            Refusal::TenantNotFound(_)
            | Refusal::TenantMalformed(_)
            | Refusal::AppNotFound { .. }
            | Refusal::AppDisabled(_)
            | Refusal::ResourceNotFound { .. }
            | Refusal::RedirectMismatch { .. } => self.not_found(),
            Refusal::ScopeMissing
            | Refusal::ScopeInvalid(_)
            | Refusal::ScopeMisspelt { .. }
            | Refusal::NotDefault(_)
            | Refusal::MixedDefault => self.scope(),
            Refusal::NoCredential
            | Refusal::WrongSecret(_)
            | Refusal::SecretExpired(_)
            | Refusal::AssertionMalformed
            | Refusal::AssertionSignature { .. }
            | Refusal::AssertionAudience
            | Refusal::AssertionIssuer
            | Refusal::AssertionTime
            | Refusal::CertificateExpired => self.credential(),
            Refusal::Pending | Refusal::SlowDown | Refusal::DeviceCodeExpired | Refusal::DeviceCodeUnknown => {
                self.device()
            }
            _ => self.grant(),
        }
    }

    fn not_found(&self) -> Shape {
        match self {
            Refusal::TenantNotFound(tenant) => request(
                90002,
                format!(
                    "Tenant '{}' not found. Check to make sure you have the correct tenant ID and are signing into the \
                     correct cloud. Check with your subscription administrator, this may happen if there are no active \
                     subscriptions for the tenant.",
                    shown(tenant)
                ),
            ),
            Refusal::TenantMalformed(tenant) => request(
                900023,
                format!(
                    "Specified tenant identifier '{}' is neither a valid DNS name, nor a valid external domain.",
                    shown(tenant)
                ),
            ),
            Refusal::AppNotFound { app, tenant } => shape(
                "unauthorized_client",
                700016,
                format!(
                    "Application with identifier '{}' was not found in the directory '{}'. This can happen if the \
                     application has not been installed by the administrator of the tenant or consented to by any user in \
                     the tenant. You may have sent your authentication request to the wrong tenant.",
                    shown(app),
                    shown(tenant)
                ),
            ),
            Refusal::AppDisabled(app) => {
                shape("unauthorized_client", 7000112, format!("Application '{}' is disabled.", shown(app)))
            }
            Refusal::RedirectMismatch { app, redirect } => request(
                50011,
                format!(
                    "The redirect URI '{}' specified in the request does not match the redirect URIs configured for the \
                     application '{}'. Make sure the redirect URI sent in the request matches one added to your \
                     application.",
                    shown(redirect),
                    shown(app)
                ),
            ),
            Refusal::ResourceNotFound { resource, tenant } => shape(
                "invalid_resource",
                500011,
                format!(
                    "The resource principal named {} was not found in the tenant named {}. This can happen if the \
                     application has not been installed by the administrator of the tenant or consented to by any user in \
                     the tenant. You might have sent your authentication request to the wrong tenant.",
                    shown(resource),
                    shown(tenant)
                ),
            ),
            _ => request(9002313, "Invalid request. Request is malformed or invalid."),
        }
    }

    fn scope(&self) -> Shape {
        match self {
            Refusal::ScopeMissing => request(900144, "The request body must contain the following parameter: 'scope'."),
            Refusal::NotDefault(scope) => shape(
                "invalid_scope",
                1002012,
                format!(
                    "The provided value for scope {} is not valid. Client credential flows must have a scope value with \
                     /.default suffixed to the resource identifier (application ID URI).",
                    shown(scope)
                ),
            ),
            Refusal::MixedDefault => shape(
                "invalid_scope",
                70011,
                "The provided value for the input parameter 'scope' is not valid. .default scope can't be combined with \
                 resource-specific scopes.",
            ),
            Refusal::ScopeMisspelt { scope, meant } => client(
                650053,
                format!(
                    "The application asked for scope '{}' that doesn't exist on the resource '{GRAPH_ID}'. Contact the \
                     app vendor. Did you mean {meant}?",
                    shown(scope)
                ),
            ),
            Refusal::ScopeInvalid(scope) => shape(
                "invalid_scope",
                70011,
                format!(
                    "The provided request must include a 'scope' input parameter. The provided value for the input \
                     parameter 'scope' is not valid. The scope {} is not valid.",
                    shown(scope)
                ),
            ),
            _ => request(9002313, "Invalid request. Request is malformed or invalid."),
        }
    }

    fn credential(&self) -> Shape {
        match self {
            Refusal::NoCredential => client(
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            ),
            Refusal::WrongSecret(app) => client(
                7000215,
                format!(
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                     value, not the client secret ID, for a secret added to app '{}'.",
                    shown(app)
                ),
            ),
            Refusal::SecretExpired(app) => {
                client(7000222, format!("The provided client secret keys for app '{}' are expired.", shown(app)))
            }
            Refusal::AssertionSignature { app, thumbprint } => client(
                700027,
                format!(
                    "The certificate with identifier used to sign the client assertion is not registered on application. \
                     [Reason - The key was not found., Thumbprint of key used by client: '{}', application: '{}'].",
                    shown(thumbprint),
                    shown(app)
                ),
            ),
            Refusal::CertificateExpired => {
                client(700027, "Client assertion contains an invalid signature. [Reason - The key used is expired.].")
            }
            Refusal::AssertionAudience => {
                client(700023, "Client assertion audience claim does not match Realm issuer.")
            }
            Refusal::AssertionIssuer => {
                client(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
            }
            Refusal::AssertionTime => client(700024, "Client assertion is not within its valid time range."),
            _ => client(50027, "JWT token is invalid or malformed."),
        }
    }

    fn grant(&self) -> Shape {
        match self {
            Refusal::NoConsent { app, name } => grant(
                65001,
                format!(
                    "The user or administrator has not consented to use the application with ID '{}' named '{}'. Send an \
                     interactive authorization request for this user and resource.",
                    shown(app),
                    shown(name)
                ),
            ),
            Refusal::CodeRedeemed => grant(
                54005,
                "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing \
                 refresh token.",
            ),
            Refusal::CodeExpired => grant(
                70008,
                "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive \
                 authorization request for this user and resource.",
            ),
            Refusal::RedirectChanged { sent } => client(
                500112,
                format!(
                    "The reply address '{}' does not match the reply address that was provided when requesting the \
                     authorization code.",
                    shown(sent)
                ),
            ),
            Refusal::Verifier => grant(
                501481,
                "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
            ),
            Refusal::RefreshTokenInvalid => {
                grant(9002313, "Invalid request. Request is malformed or invalid: the refresh token.")
            }
            Refusal::Revoked => grant(
                50173,
                "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might \
                 have changed or reset their password.",
            ),
            Refusal::UserDisabled => grant(50057, "The user account is disabled."),
            Refusal::UserNotFound(name) => {
                grant(50034, format!("The user account {} does not exist in the directory.", shown(name)))
            }
            Refusal::SignInNeeded => {
                shape("login_required", 50058, "A silent sign-in request was sent but no user is signed in.")
            }
            Refusal::Declined => shape("access_denied", 65004, "User declined to consent to access the app."),
            _ => grant(9002313, "Invalid request. Request is malformed or invalid: the authorization code."),
        }
    }

    fn device(&self) -> Shape {
        match self {
            Refusal::Pending => shape(
                "authorization_pending",
                70016,
                "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
            ),
            Refusal::SlowDown => shape("slow_down", 1002016, "You are polling too often."),
            Refusal::DeviceCodeExpired => shape(
                "expired_token",
                70020,
                "The provided value for the input parameter 'device_code' is not valid. Device codes can only be used to \
                 acquire access tokens once and must not be expired.",
            ),
            _ => shape(
                "bad_verification_code",
                70018,
                "The provided value for the input parameter 'device_code' or 'user_code' is not valid.",
            ),
        }
    }
}

fn shape(error: &'static str, code: u32, text: impl Into<String>) -> Shape {
    Shape { status: StatusCode::BAD_REQUEST, error, code, text: text.into() }
}

fn request(code: u32, text: impl Into<String>) -> Shape {
    shape("invalid_request", code, text)
}

fn grant(code: u32, text: impl Into<String>) -> Shape {
    shape("invalid_grant", code, text)
}

fn client(code: u32, text: impl Into<String>) -> Shape {
    Shape { status: StatusCode::UNAUTHORIZED, ..shape("invalid_client", code, text) }
}

/// What the caller sent, cut, on one line.
fn shown(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(SHOWN_CHARS_MAX).collect()
}

/// `2026-11-28 15:00:00Z`.
fn date(now: Timestamp) -> String {
    now.whole_seconds().to_string().replace('T', " ")
}
