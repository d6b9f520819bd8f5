//! The messages that a search folder shows: its filter, run over the folders that it names.

use graph::mailbox::{Owner, SearchFolder};
use graph::path::FolderKey;
use graph::query::{Query, QueryRefusal};
use graph::{Folder, Kind, Refusal};
use store::{FolderCounts, ItemQuery};

use crate::http::error::ApiError;
use crate::http::graph::Call;
use crate::http::query::QueryError;

/// The search folder that a path names, if it names one. None has a well-known name.
pub async fn find(call: &Call<'_>, owner: &Owner, key: Option<&FolderKey>) -> Result<Option<SearchFolder>, ApiError> {
    let Some(FolderKey::Id(id)) = key else { return Ok(None) };
    let found = call.state.store.folder(owner.id, *id).await?;
    Ok(found.and_then(|found| SearchFolder::of(&found.folder)))
}

/// The messages that a search folder shows: newest first, or as `$orderby` says beside a `$filter`.
pub async fn asked(call: &Call<'_>, owner: &Owner, search: &SearchFolder) -> Result<ItemQuery, ApiError> {
    if call.query.get("$search").is_some() {
        return Err(QueryError::Unsupported("$search".to_owned()).into());
    }
    let newest_first = |order: &&str| !order.trim().eq_ignore_ascii_case("receivedDateTime desc");
    let order = call.query.get("$orderby").filter(newest_first);
    let query = query(search, call.query.get("$filter"), order).map_err(|refusal| refused("$filter", &refusal))?;
    let places = search.places(&folders(call, owner).await?);
    Ok(ItemQuery { mailbox: owner.id, folders: Some(places), query, skip: 0, top: 0 })
}

/// Gives a search folder the counts of what it shows; others have theirs.
pub async fn count(call: &Call<'_>, owner: &Owner, found: &mut FolderCounts) -> Result<(), ApiError> {
    let Some(search) = SearchFolder::of(&found.folder) else { return Ok(()) };
    let places = search.places(&folders(call, owner).await?);
    let count = async |filter: Option<&str>| {
        let query = query(&search, filter, None).map_err(|refusal| refused("filterQuery", &refusal))?;
        let asked = ItemQuery { mailbox: owner.id, folders: Some(places.clone()), query, skip: 0, top: 0 };
        Ok::<u64, ApiError>(call.state.store.count_items(asked).await?)
    };
    found.total = count(None).await?;
    found.unread = count(Some("isRead eq false")).await?;
    Ok(())
}

async fn folders(call: &Call<'_>, owner: &Owner) -> Result<Vec<Folder>, ApiError> {
    Ok(call.state.store.folders(owner.id).await?.into_iter().map(|found| found.folder).collect())
}

/// What is asked for stands first: an order needs its properties at the head of the filter.
fn query(search: &SearchFolder, filter: Option<&str>, order: Option<&str>) -> Result<Query, QueryRefusal> {
    // By itself first: parentheses must not reach out of it.
    Query::read(Kind::Message, filter, None)?;
    let both = filter.map(|filter| format!("({filter}) and ({})", search.filter));
    Query::read(Kind::Message, Some(both.as_deref().unwrap_or(&search.filter)), order)
}

fn refused(property: &str, refusal: &QueryRefusal) -> ApiError {
    let expected = match refusal {
        QueryRefusal::Filter(problems) => format!("a filter of messages: {problems}"),
        QueryRefusal::Order(problems) => format!("beside an order of messages: {problems}"),
        QueryRefusal::Inefficient => "such that it begins with what $orderby names".to_owned(),
    };
    Refusal::Invalid { property: property.to_owned(), expected }.into()
}
