//! The filter of an event subscription as the management API writes it. What it means, and whether it means
//! anything, is for others to say.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `EventSubscriptionFilter`. What is absent or `null` filters nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EventSubscriptionFilter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_begins_with: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_ends_with: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included_event_types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_subject_case_sensitive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_advanced_filtering_on_arrays: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advanced_filters: Option<Vec<AdvancedFilter>>,
}

/// `AdvancedFilter`: one of 19 operators, with `value`, `values` or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdvancedFilter {
    pub operator_type: String,
    #[serde(default)]
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Value>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_azures_sdk_writes_it_and_answered_alike() {
        let sent = r#"{"subjectBeginsWith":"Messages/","subjectEndsWith":"","includedEventTypes":["Microsoft.Graph.MessageCreated"],"isSubjectCaseSensitive":false,"enableAdvancedFilteringOnArrays":true,"advancedFilters":[{"operatorType":"StringIn","key":"data.changeType","values":["created"]},{"operatorType":"NumberLessThan","key":"data.n","value":5.5},{"operatorType":"IsNotNull","key":"subject"}]}"#;
        let filter: EventSubscriptionFilter = serde_json::from_str(sent).unwrap();
        assert_eq!(serde_json::to_string(&filter).unwrap(), sent);
    }

    #[test]
    fn a_misspelt_member_is_refused() {
        for sent in [
            r#"{"subjectBeginWith":"Messages/"}"#,
            r#"{"includedEventType":["a"]}"#,
            r#"{"advancedFilters":[{"operatorType":"StringIn","key":"subject","value_":"x"}]}"#,
        ] {
            let refused = serde_json::from_str::<EventSubscriptionFilter>(sent).unwrap_err().to_string();
            assert!(refused.contains("unknown field"), "{refused}");
        }
    }

    #[test]
    fn null_is_the_same_as_nothing_in_a_filter() {
        let filter: EventSubscriptionFilter =
            serde_json::from_str(r#"{"includedEventTypes":null,"subjectBeginsWith":null,"advancedFilters":null}"#)
                .unwrap();
        assert_eq!(filter, EventSubscriptionFilter::default());
        assert_eq!(serde_json::to_string(&filter).unwrap(), "{}");
    }
}
