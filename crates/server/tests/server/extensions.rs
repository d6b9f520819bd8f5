//! Apps keep data of their own on items.

use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{World, ok, settled};

fn referral() -> Value {
    json!({"@odata.type": "microsoft.graph.openTypeExtension", "extensionName": "com.contoso.referral",
           "companyName": "Wingtip", "deal": {"value": 10000}})
}

#[tokio::test]
async fn an_open_extension_is_kept_on_each_kind_of_item() {
    let world = World::new().await;
    let megan = world.megan();
    let at = json!({"dateTime": "2026-12-01T10:00:00", "timeZone": "UTC"});
    for (collection, item) in
        [("messages", json!({})), ("events", json!({"start": at, "end": at})), ("contacts", json!({"givenName": "A"}))]
    {
        let item = ok(megan.post(&format!("/v1.0/me/{collection}"), item).await, StatusCode::CREATED);
        let path = format!("/v1.0/me/{collection}/{}", item.text("/id"));
        let made = ok(megan.post(&format!("{path}/extensions"), referral()).await, StatusCode::CREATED);
        if collection == "messages" {
            let context = made.text("/@odata.context").replace(&item.text("/id"), "{id}");
            insta::assert_snapshot!(context, @r"http://graph.test:8443/v1.0/$metadata#users('622eaaff-0683-4862-9de4-f2ec83c2bd98')/messages('{id}')/extensions/$entity");
            let mut shown = settled(&made.json);
            shown.as_object_mut().unwrap().remove("@odata.context");
            insta::assert_json_snapshot!(shown, @r##"
            {
              "@odata.type": "#microsoft.graph.openTypeExtension",
              "companyName": "Wingtip",
              "deal": {
                "value": 10000
              },
              "extensionName": "com.contoso.referral",
              "id": "[id]"
            }
            "##);
        }
        let id = made.text("/id");
        assert!(made.header("location").ends_with(&format!("/extensions('{id}')")), "{collection}");
        let again = megan.post(&format!("{path}/extensions"), referral()).await;
        assert_eq!(again.refusal(), "409 NameAlreadyExists: An extension already exists with given id.");

        let key = format!("{path}/extensions/com.contoso.referral");
        let patched = ok(megan.patch(&key, json!({"companyName": null, "note": [1]})).await, StatusCode::OK);
        assert_eq!((patched.json.get("companyName"), &patched.json["note"]), (None, &json!([1])));
        let read = ok(megan.get(&format!("{path}/extensions('{id}')")).await, StatusCode::OK);
        assert_eq!(read.json, patched.json);
        let listed = ok(megan.get(&format!("{path}/extensions")).await, StatusCode::OK);
        assert_eq!(listed.json["value"][0]["deal"], json!({"value": 10000}));
        assert_ne!(
            megan.get(&path).await.text("/changeKey"),
            item.text("/changeKey"),
            "a write is a write of the item"
        );

        ok(megan.delete(&key).await, StatusCode::NO_CONTENT);
        assert_eq!(megan.get(&key).await.status, 404);
        assert_eq!(megan.delete(&key).await.status, 404);
        assert_eq!(megan.patch(&key, json!({})).await.status, 404);
    }
}

#[tokio::test]
async fn a_new_item_may_bring_extensions_and_properties_of_other_programs() {
    let world = World::new().await;
    let megan = world.megan();
    let single = json!([{"id": "string {66F5A359-4659-4830-9070-00047EC6AC6E} name Color", "value": "Green"}]);
    let item = json!({"subject": "x", "extensions": [referral()], "singleValueExtendedProperties": single});
    let made = ok(megan.post("/v1.0/me/messages", item).await, StatusCode::CREATED);
    assert_eq!((made.json.get("extensions"), made.json.get("singleValueExtendedProperties")), (None, None));
    let path = format!("/v1.0/me/messages/{}", made.text("/id"));
    let listed = ok(megan.get(&format!("{path}/extensions")).await, StatusCode::OK);
    assert_eq!(listed.text("/value/0/companyName"), "Wingtip");
    let change = json!({"singleValueExtendedProperties": [{"id": "Integer 0x7001", "value": "5"}]});
    ok(megan.patch(&path, change).await, StatusCode::OK);

    let mut seen = Vec::new();
    for (path, body) in [
        ("/v1.0/me/messages", json!({"singleValueExtendedProperties": [{"id": "Color", "value": "x"}]})),
        ("/v1.0/me/contacts", json!({"multiValueExtendedProperties": [{"id": "String 0x7001", "value": []}]})),
        ("/v1.0/me/mailFolders", json!({"displayName": "F", "singleValueExtendedProperties": [{"value": "x"}]})),
        ("/v1.0/me/messages", json!({"extensions": [{"extensionName": "x"}]})),
    ] {
        seen.push(megan.post(path, body).await.refusal());
    }
    for body in [json!({"extensionName": "x"}), json!({"@odata.type": "microsoft.graph.openTypeExtension"}), json!([])]
    {
        seen.push(megan.post(&format!("{path}/extensions"), body).await.refusal());
    }
    insta::assert_json_snapshot!(seen, @r#"
    [
      "400 RequestBodyRead: singleValueExtendedProperties/id must be such as String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Color or Integer 0x7001.",
      "400 RequestBodyRead: multiValueExtendedProperties/id must be such as StringArray {66f5a359-4659-4830-9070-00050ec6ac6e} Name Recreation.",
      "400 ErrorInvalidRequest: id is required.",
      "400 RequestBodyRead: extensions/@odata.type must be #microsoft.graph.openTypeExtension.",
      "400 RequestBodyRead: @odata.type must be #microsoft.graph.openTypeExtension.",
      "400 ErrorInvalidRequest: extensionName is required.",
      "400 RequestBodyRead: The body must be a JSON object."
    ]
    "#);
}
