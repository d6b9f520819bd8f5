//! The service description, `$metadata`: the embedded types and operations as CSDL 4.0. What refers to a
//! type that is not embedded is left out, so that the document is whole in itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::OnceLock;

use serde::Deserialize;

const NAMESPACE: &str = "microsoft.graph";
/// The entity set that is a single entity.
const SINGLETON: &str = "me";

#[derive(Deserialize)]
struct Type {
    kind: String,
    base: Option<String>,
    #[serde(default, rename = "abstract")]
    is_abstract: bool,
    /// Of `user`, only relations are embedded; so its other properties are undeclared ones.
    #[serde(default)]
    partial: bool,
    #[serde(default)]
    opentype: bool,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    properties: BTreeMap<String, Property>,
    #[serde(default)]
    navigation: BTreeMap<String, Property>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(rename = "type")]
    type_name: String,
    #[serde(default = "yes")]
    nullable: bool,
    #[serde(default, rename = "containsTarget")]
    contains_target: bool,
}

#[derive(Deserialize)]
struct Operations {
    operations: BTreeMap<String, Vec<Operation>>,
    #[serde(rename = "entitySets")]
    entity_sets: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Operation {
    kind: String,
    name: String,
    binding: String,
    params: Vec<(String, String)>,
    returns: Option<String>,
}

fn yes() -> bool {
    true
}

/// The document, written at the first call.
pub fn csdl() -> &'static str {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let types = serde_json::from_str(include_str!("types.json")).expect("the embedded metadata is well formed");
        let operations =
            serde_json::from_str(include_str!("actions.json")).expect("the embedded metadata is well formed");
        Document { types, text: String::new() }.write(&operations)
    })
}

struct Document {
    types: BTreeMap<String, Type>,
    text: String,
}

impl Document {
    fn write(mut self, operations: &Operations) -> String {
        self.line(0, r#"<?xml version="1.0" encoding="utf-8"?>"#);
        self.line(0, r#"<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">"#);
        self.line(1, "<edmx:DataServices>");
        self.line(
            2,
            r#"<Schema Namespace="microsoft.graph" Alias="graph" xmlns="http://docs.oasis-open.org/odata/ns/edm">"#,
        );
        let types = std::mem::take(&mut self.types);
        for base in unknown_bases(&types) {
            self.line(3, &format!(r#"<EntityType Name="{base}" BaseType="graph.entity" Abstract="true" />"#));
        }
        for (name, found) in &types {
            self.type_(name, found, &types);
        }
        for operation in operations.operations.values().flatten() {
            self.operation(operation, &types);
        }
        self.container(&operations.entity_sets);
        self.line(2, "</Schema>");
        self.line(1, "</edmx:DataServices>");
        self.line(0, "</edmx:Edmx>");
        self.text
    }

    fn line(&mut self, depth: usize, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{:width$}{line}", "", width = depth * 2);
    }

    fn type_(&mut self, name: &str, found: &Type, types: &BTreeMap<String, Type>) {
        let mut head = format!(r#"<{} Name="{name}""#, found.kind);
        if let Some(base) = &found.base {
            let _ = write!(head, r#" BaseType="graph.{base}""#);
        }
        if found.is_abstract {
            head.push_str(r#" Abstract="true""#);
        }
        if found.opentype || found.partial {
            head.push_str(r#" OpenType="true""#);
        }
        self.line(3, &format!("{head}>"));
        if !found.key.is_empty() {
            self.line(4, "<Key>");
            for key in &found.key {
                self.line(5, &format!(r#"<PropertyRef Name="{key}" />"#));
            }
            self.line(4, "</Key>");
        }
        for member in &found.members {
            self.line(4, &format!(r#"<Member Name="{member}" />"#));
        }
        for (name, property) in &found.properties {
            self.property("Property", name, property, types);
        }
        for (name, property) in &found.navigation {
            self.property("NavigationProperty", name, property, types);
        }
        self.line(3, &format!("</{}>", found.kind));
    }

    fn property(&mut self, element: &str, name: &str, property: &Property, types: &BTreeMap<String, Type>) {
        if !is_known(&property.type_name, types) {
            return;
        }
        let mut line = format!(r#"<{element} Name="{name}" Type="{}""#, property.type_name);
        if !property.nullable {
            line.push_str(r#" Nullable="false""#);
        }
        if property.contains_target {
            line.push_str(r#" ContainsTarget="true""#);
        }
        self.line(4, &format!("{line} />"));
    }

    fn operation(&mut self, operation: &Operation, types: &BTreeMap<String, Type>) {
        let named = operation.params.iter().map(|(_, type_name)| type_name);
        let mut all = named.chain([&operation.binding]).chain(&operation.returns);
        if !all.all(|type_name| is_known(type_name, types)) {
            return;
        }
        self.line(3, &format!(r#"<{} Name="{}" IsBound="true">"#, operation.kind, operation.name));
        self.line(4, &format!(r#"<Parameter Name="bindingParameter" Type="{}" />"#, operation.binding));
        for (name, type_name) in &operation.params {
            self.line(4, &format!(r#"<Parameter Name="{name}" Type="{type_name}" />"#));
        }
        if let Some(returns) = &operation.returns {
            self.line(4, &format!(r#"<ReturnType Type="{returns}" />"#));
        }
        self.line(3, &format!("</{}>", operation.kind));
    }

    fn container(&mut self, sets: &BTreeMap<String, String>) {
        self.line(3, r#"<EntityContainer Name="GraphService">"#);
        for (name, type_name) in sets {
            let line = match name.as_str() {
                SINGLETON => format!(r#"<Singleton Name="{name}" Type="{type_name}" />"#),
                _ => format!(r#"<EntitySet Name="{name}" EntityType="{type_name}" />"#),
            };
            self.line(4, &line);
        }
        self.line(3, "</EntityContainer>");
    }
}

/// Bases that types name and nobody describes; they hold nothing here.
fn unknown_bases(types: &BTreeMap<String, Type>) -> BTreeSet<String> {
    let bases = types.values().filter_map(|found| found.base.clone());
    bases.filter(|base| !types.contains_key(base)).collect()
}

fn is_known(type_name: &str, types: &BTreeMap<String, Type>) -> bool {
    let member = type_name.strip_prefix("Collection(").and_then(|rest| rest.strip_suffix(')')).unwrap_or(type_name);
    let named = member.strip_prefix("graph.").or_else(|| member.strip_prefix(NAMESPACE)?.strip_prefix('.'));
    named.map_or_else(|| member.starts_with("Edm."), |name| types.contains_key(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use roxmltree::{Document, Node};

    use super::csdl;

    fn named<'a>(document: &'a Document<'a>, element: &str, name: &str) -> Node<'a, 'a> {
        let found = document
            .descendants()
            .find(|node| node.tag_name().name() == element && node.attribute("Name") == Some(name));
        found.unwrap_or_else(|| panic!("{element} {name}"))
    }

    fn text(document: &Document<'_>, node: Node<'_, '_>) -> String {
        document.input_text()[node.range()].to_owned()
    }

    #[test]
    fn the_document_is_edmx_of_version_four() {
        let document = Document::parse(csdl()).unwrap();
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "Edmx");
        assert_eq!(root.tag_name().namespace(), Some("http://docs.oasis-open.org/odata/ns/edmx"));
        assert_eq!(root.attribute("Version"), Some("4.0"));
        let schema = named_schema(&document);
        assert_eq!(schema.attribute("Namespace"), Some("microsoft.graph"));
    }

    fn named_schema<'a>(document: &'a Document<'a>) -> Node<'a, 'a> {
        document.descendants().find(|node| node.tag_name().name() == "Schema").unwrap()
    }

    #[test]
    fn everything_that_is_named_is_described() {
        let document = Document::parse(csdl()).unwrap();
        let kinds = ["EntityType", "ComplexType", "EnumType"];
        let described: BTreeMap<&str, &str> = document
            .descendants()
            .filter(|node| kinds.contains(&node.tag_name().name()))
            .map(|node| (node.attribute("Name").unwrap(), node.tag_name().name()))
            .collect();
        for node in document.descendants().filter(Node::is_element) {
            for attribute in ["Type", "BaseType", "EntityType"] {
                let Some(type_name) = node.attribute(attribute) else { continue };
                let member = type_name.trim_start_matches("Collection(").trim_end_matches(')');
                let name = member.trim_start_matches("microsoft.").trim_start_matches("graph.");
                assert!(member.starts_with("Edm.") || described.contains_key(name), "{type_name}");
            }
        }
        for (name, kind) in [("message", "EntityType"), ("recipient", "ComplexType"), ("importance", "EnumType")] {
            assert_eq!(described.get(name), Some(&kind));
        }
    }

    #[test]
    fn types_operations_and_sets_look_as_in_graphs_own_description() {
        let document = Document::parse(csdl()).unwrap();
        let parts = [("EntityType", "mailFolder"), ("EnumType", "bodyType"), ("ComplexType", "emailAddress")];
        let shown: Vec<String> =
            parts.iter().map(|(kind, name)| text(&document, named(&document, kind, name))).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        <EntityType Name="mailFolder" BaseType="graph.entity">
                <Property Name="childFolderCount" Type="Edm.Int32" />
                <Property Name="displayName" Type="Edm.String" />
                <Property Name="isHidden" Type="Edm.Boolean" />
                <Property Name="parentFolderId" Type="Edm.String" />
                <Property Name="totalItemCount" Type="Edm.Int32" />
                <Property Name="unreadItemCount" Type="Edm.Int32" />
                <NavigationProperty Name="childFolders" Type="Collection(graph.mailFolder)" ContainsTarget="true" />
                <NavigationProperty Name="messageRules" Type="Collection(graph.messageRule)" ContainsTarget="true" />
                <NavigationProperty Name="messages" Type="Collection(graph.message)" ContainsTarget="true" />
                <NavigationProperty Name="multiValueExtendedProperties" Type="Collection(graph.multiValueLegacyExtendedProperty)" ContainsTarget="true" />
                <NavigationProperty Name="singleValueExtendedProperties" Type="Collection(graph.singleValueLegacyExtendedProperty)" ContainsTarget="true" />
              </EntityType>
        <EnumType Name="bodyType">
                <Member Name="text" />
                <Member Name="html" />
              </EnumType>
        <ComplexType Name="emailAddress">
                <Property Name="address" Type="Edm.String" />
                <Property Name="name" Type="Edm.String" />
              </ComplexType>
        "#);
        let parts = [("Action", "move"), ("Function", "delta"), ("EntityContainer", "GraphService")];
        let shown: Vec<String> =
            parts.iter().map(|(kind, name)| text(&document, named(&document, kind, name))).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        <Action Name="move" IsBound="true">
                <Parameter Name="bindingParameter" Type="graph.mailFolder" />
                <Parameter Name="DestinationId" Type="Edm.String" />
                <ReturnType Type="graph.mailFolder" />
              </Action>
        <Function Name="delta" IsBound="true">
                <Parameter Name="bindingParameter" Type="Collection(graph.contact)" />
                <ReturnType Type="Collection(graph.contact)" />
              </Function>
        <EntityContainer Name="GraphService">
                <Singleton Name="me" Type="microsoft.graph.user" />
                <EntitySet Name="subscriptions" EntityType="microsoft.graph.subscription" />
                <EntitySet Name="users" EntityType="microsoft.graph.user" />
              </EntityContainer>
        "#);
    }
}
