//! Occurrences of series, and what is in calendars at a time: one file for each operation. An occurrence is
//! no item of its own; its id names its series master and its day.

pub mod delete;
pub mod exceptions;
pub mod get;
pub mod get_schedule;
pub mod instances;
pub mod patch;
pub mod remind;
pub mod reminder_view;
pub mod view;

mod found;
mod page;
pub mod window;

use graph::mailbox::Owner;
use graph::path::ItemPath;
use graph::{Item, Kind, OccurrenceId};

use super::Call;
use crate::http::error::ApiError;
pub use get_schedule::ScheduleRefusal;
pub use window::WindowError;

/// The occurrence that a path names, if it names one.
pub fn named(path: &ItemPath) -> Option<OccurrenceId> {
    if path.kind == Kind::Event { path.id.parse().ok() } else { None }
}

/// The path of an occurrence's series master.
pub fn master_path(path: &ItemPath, id: OccurrenceId) -> ItemPath {
    ItemPath { id: id.master_id().to_string(), ..path.clone() }
}

/// The series master of an occurrence, as it is now.
pub(super) async fn master(
    call: &Call<'_>,
    owner: &Owner,
    path: &ItemPath,
    id: OccurrenceId,
) -> Result<Item, ApiError> {
    super::items::find(call, owner, &master_path(path, id)).await
}
