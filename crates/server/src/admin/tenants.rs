//! `/admin/tenants`: organisations, and the tenant of personal accounts.

use axum::Json;
use axum::extract::State;
use graph::TenantId;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::Tenant;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Failure;
use super::request::{Body, Page, bad, chosen_or_new};
use crate::directory::{Directory, names};

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ShownTenant {
    id: String,
    /// All addresses of its users are of this domain, and no other tenant has it.
    domain: String,
    /// Whether it is the tenant of personal accounts.
    personal: bool,
}

impl From<Tenant> for ShownTenant {
    fn from(tenant: Tenant) -> Self {
        Self { id: tenant.id.to_string(), personal: tenant.id == TenantId::CONSUMERS, domain: tenant.domain }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewTenant {
    domain: String,
    /// The id that it is to have; otherwise a new one.
    #[schema(value_type = Option<String>, format = "uuid")]
    id: Option<Uuid>,
    /// Make it the tenant of personal accounts, whose id is always the same.
    #[serde(default)]
    personal: bool,
}

#[utoipa::path(
    post,
    path = "/admin/tenants",
    request_body = NewTenant,
    responses((status = 201, body = ShownTenant), (status = 400, body = Failure), (status = 409, body = Failure))
)]
pub(super) async fn add(
    State(directory): State<Directory>,
    Body(new): Body<NewTenant>,
) -> Result<(StatusCode, Json<ShownTenant>), Failure> {
    let id = match (new.personal, new.id) {
        (true, Some(_)) => return Err(bad("the tenant of personal accounts has an id of its own; leave \"id\" out")),
        (true, None) => TenantId::CONSUMERS,
        (false, id) => TenantId(chosen_or_new(id)),
    };
    let tenant = Tenant { id, domain: names::domain(&new.domain)? };
    let added = tenant.clone();
    directory.change(async move |store| store.add_tenant(added).await).await?;
    Ok((StatusCode::CREATED, Json(tenant.into())))
}

#[utoipa::path(
    get,
    path = "/admin/tenants",
    responses((status = 200, body = Page<ShownTenant>), (status = 503, body = Failure))
)]
pub(super) async fn list(State(directory): State<Directory>) -> Result<Json<Page<ShownTenant>>, Failure> {
    let tenants = directory.store().tenants().await?;
    Ok(Json(Page::of(tenants.into_iter().map(ShownTenant::from).collect())))
}
