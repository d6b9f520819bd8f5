//! `GET` of the occurrences of a series that differ from it, in the order of their original days.

use graph::occurrence::Series;
use graph::path::ItemPath;
use graph::render::{self, View};
use graph::schema::Entity;
use http::StatusCode;
use jiff::civil::Date;
use serde_json::json;

use super::page::Filling;
use crate::http::answer::Answer;
use crate::http::error::ApiError;
use crate::http::graph::items::expand;
use crate::http::graph::{Call, items};
use crate::http::query::Page;

pub async fn exceptions(call: &Call<'_>, path: &ItemPath) -> Result<Answer, ApiError> {
    call.query.allow(&["$select", "$expand", "$top", "$skip", "$count"])?;
    let page = Page::read(&call.query)?;
    let select = call.query.select(Entity::Event)?;
    let expand = call.query.expand(Entity::Event)?;
    let owner = call.owner(&path.user).await?;
    let event = items::find(call, &owner, path).await?;
    let series = Series::of(&event);
    let differing: Vec<Date> = series.iter().flat_map(Series::changed_days).collect();
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let view = View { context: None, select: select.as_ref(), prefer: &call.prefer };
    let mut filling = Filling::new(page.skip, differing.len());
    for day in differing.iter().skip(count(page.skip)).take(count(page.top)) {
        if filling.is_full() {
            break;
        }
        let occurrence = series.as_ref().and_then(|series| series.occurrence(*day));
        let mut shown = None;
        if let Some(occurrence) = occurrence {
            let value = shown.insert(render::occurrence(&occurrence, view));
            expand::relations(call, &expand, &occurrence.item, value).await?;
        }
        filling.pass(shown);
    }
    let collection = format!("events('{}')/exceptionOccurrences", render::item_id(&event, &call.prefer));
    let context = render::context(&call.base(), owner.id, &collection, select.as_ref(), false);
    let mut body = json!({"@odata.context": context});
    if page.count {
        body["@odata.count"] = differing.len().into();
    }
    if let Some(next) = filling.next() {
        body["@odata.nextLink"] = call.next_page(next).into();
    }
    body["value"] = filling.value.into();
    Ok(Answer::json(StatusCode::OK, &body))
}
