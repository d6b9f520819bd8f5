//! Attachments of messages and events: one file for each operation.

pub mod create;
pub mod create_upload_session;
pub mod delete;
pub mod get;
pub mod list;
pub mod value;

use graph::mailbox::{Owner, attachment};
use graph::path::{ItemPart, ItemPath};
use graph::render::{self, AttachmentSelect, AttachmentView};
use graph::{Attachment, AttachmentId, Item, Properties, Refusal};
use http::{Method, StatusCode};
use serde_json::Value;

use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::QueryError;

pub async fn part(call: &Call<'_>, method: &Method, path: &ItemPath, part: &ItemPart) -> Result<Answer, ApiError> {
    match (method.as_str(), part) {
        ("GET", ItemPart::Attachments) => list::list(call, path).await,
        ("POST", ItemPart::Attachments) => create::create(call, path).await,
        ("GET", ItemPart::AttachmentsCount) => list::count(call, path).await,
        ("GET", ItemPart::Attachment(id)) => get::get(call, path, id).await,
        ("DELETE", ItemPart::Attachment(id)) => delete::delete(call, path, id).await,
        ("GET", ItemPart::AttachmentValue(id)) => value::value(call, path, id).await,
        ("POST", ItemPart::CreateUploadSession) => create_upload_session::create(call, path).await,
        _ => Err(ApiError::Method),
    }
}

/// What `$select` and `$expand` ask for.
struct Shown {
    select: Option<AttachmentSelect>,
    item: bool,
}

impl Shown {
    fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let select = match call.query.get("$select") {
            Some(list) => AttachmentSelect::read(list).map_err(unknown)?,
            None => None,
        };
        let item = match call.query.get("$expand").map(str::trim) {
            None => false,
            Some(asked) if asked.eq_ignore_ascii_case("microsoft.graph.itemAttachment/item") => true,
            Some(_) => return Err(QueryError::Unsupported("$expand".to_owned()).into()),
        };
        Ok(Self { select, item })
    }

    fn view<'a>(&'a self, context: Option<&'a str>) -> AttachmentView<'a> {
        AttachmentView { context, select: self.select.as_ref(), item: self.item }
    }
}

fn unknown(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::UnknownProperty { property } => {
            QueryError::UnknownProperty { property, type_name: "attachment" }.into()
        }
        refusal => refusal.into(),
    }
}

/// The `@odata.context` of an item's attachments, or of one of them.
fn context(call: &Call<'_>, item: &Item, entity: &str) -> String {
    call.metadata(&format!("{}/attachments{entity}", item_segment(call, item)))
}

fn item_segment(call: &Call<'_>, item: &Item) -> String {
    let id = render::item_id(item, &call.prefer);
    format!("users('{}')/{}('{id}')", item.mailbox, item.id.kind.collection())
}

/// An attachment that was just made: 201, and where it can be read.
fn made(call: &Call<'_>, item: &Item, attachment: &Attachment, content: &[u8]) -> Answer {
    let context = context(call, item, "/$entity");
    let view = AttachmentView { context: Some(&context), ..AttachmentView::default() };
    let location = call.url(&format!("{}/attachments('{}')", item_segment(call, item), attachment.id));
    Answer::json(StatusCode::CREATED, &render::attachment(attachment, content, view)).at(location)
}

/// The attachment of an item that a path names, with its content.
async fn find(call: &Call<'_>, owner: &Owner, item: &Item, id: &str) -> Result<(Attachment, Vec<u8>), ApiError> {
    let id: AttachmentId = id.parse().map_err(|_| ApiError::MalformedId)?;
    call.state.store.attachment(owner.id, item.immutable, id).await?.ok_or(ApiError::ItemNotFound)
}

/// All attachments of an item with their content, which is bounded for each item.
pub async fn whole(call: &Call<'_>, owner: &Owner, item: &Item) -> Result<Vec<(Attachment, Vec<u8>)>, ApiError> {
    let present = call.state.store.attachments(owner.id, item.immutable).await?;
    with_content(call, owner, item, present).await
}

/// Gives a message on its way the attachments of an item, which may be too large for it.
pub async fn carry(call: &Call<'_>, owner: &Owner, item: &Item, message: &mut Properties) -> Result<(), ApiError> {
    let present = call.state.store.attachments(owner.id, item.immutable).await?;
    attachment::check_sendable(&present)?;
    let Value::Array(more) = attachment::inline(with_content(call, owner, item, present).await?) else { return Ok(()) };
    match message.get_mut("attachments").and_then(Value::as_array_mut) {
        Some(own) => own.extend(more),
        None => drop(message.insert("attachments".to_owned(), more.into())),
    }
    Ok(())
}

async fn with_content(
    call: &Call<'_>,
    owner: &Owner,
    item: &Item,
    present: Vec<Attachment>,
) -> Result<Vec<(Attachment, Vec<u8>)>, ApiError> {
    let mut whole = Vec::with_capacity(present.len());
    for attachment in present {
        // One that is gone by now is no part of the item as it was read.
        whole.extend(call.state.store.attachment(owner.id, item.immutable, attachment.id).await?);
    }
    Ok(whole)
}
