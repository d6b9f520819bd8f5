//! A filter and an order of things as they are shown: folders and other short lists.

use std::cmp::Ordering;

use odata::{Filter, Order};
use serde_json::Value;

use super::{Held, QueryRefusal};
use crate::schema::Fields;

/// A filter and an order of JSON values of one type.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    filter: Option<Filter>,
    order: Option<Order>,
}

impl Shown {
    /// Reads the values of `$filter` and `$orderby`.
    pub fn read(fields: &Fields, filter: Option<&str>, orderby: Option<&str>) -> Result<Self, QueryRefusal> {
        let filter = filter.map(|text| Filter::read(text, fields)).transpose().map_err(QueryRefusal::Filter)?;
        let order = orderby.map(|text| Order::read(text, fields)).transpose().map_err(QueryRefusal::Order)?;
        Ok(Self { filter, order })
    }

    pub fn matches(&self, shown: &Value) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.matches(Held::Json(shown)))
    }

    /// Equal if no order is asked for.
    pub fn compare(&self, a: &Value, b: &Value) -> Ordering {
        self.order.as_ref().map_or(Ordering::Equal, |order| order.compare(Held::Json(a), Held::Json(b)))
    }
}
