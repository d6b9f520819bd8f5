//! Who has basic access only tries to see what that hides.

use super::*;

#[tokio::test]
async fn basic_access_shows_messages_without_what_it_hides() {
    let world = World::new().await;
    let (megan, item) = basic(&world).await;
    let html =
        world.granted(&seed::users()[0], "Mail.ReadBasic").await.with("prefer", "outlook.body-content-type=\"html\"");
    let lists =
        ["/v1.0/me/messages", "/v1.0/me/mailFolders/drafts/messages", "/v1.0/me/mailFolders/drafts/messages/delta"];
    for path in lists.iter().copied().chain([item.as_str()]) {
        for caller in [&megan, &html] {
            let reply = ok(caller.get(path).await, StatusCode::OK);
            assert_hidden(&reply, path);
            let shown = reply.json["value"].get(0).unwrap_or(&reply.json);
            assert_eq!((&shown["subject"], &shown["hasAttachments"]), (&json!("Plans"), &json!(true)), "{path}");
        }
    }
}

#[tokio::test]
async fn basic_access_is_not_widened_by_a_selection() {
    let world = World::new().await;
    let (megan, item) = basic(&world).await;
    let lists = ["/v1.0/me/messages", "/v1.0/me/mailFolders/drafts/messages/delta", item.as_str()];
    for path in lists {
        for select in [
            "$select=body",
            "$select=subject,bodyPreview",
            "$select=UniqueBody",
            "select=body/content",
            "%24select=body",
            "$SELECT=%62ody",
            "$select=subject,%20body%20",
        ] {
            assert_denied(&megan, &[format!("{path}?{select}")]).await;
        }
        let all = ok(megan.get(&format!("{path}?$select=*")).await, StatusCode::OK);
        assert_hidden(&all, path);
    }
}

#[tokio::test]
async fn basic_access_is_not_widened_by_an_expansion() {
    let world = World::new().await;
    let (megan, item) = basic(&world).await;
    for expand in [
        "attachments",
        "Attachments($select=name)",
        "extensions",
        "singleValueExtendedProperties",
        "singleValueExtendedProperties($filter=id%20eq%20'x')",
        "microsoft.graph.eventMessage/event",
    ] {
        let paths = [
            format!("{item}?$expand={expand}"),
            format!("/v1.0/me/messages?$expand={expand}"),
            format!("/v1.0/me/mailFolders/drafts/messages/delta?expand={expand}"),
        ];
        assert_denied(&megan, &paths).await;
    }
}

#[tokio::test]
async fn basic_access_is_not_widened_by_a_filter_an_order_or_a_search() {
    let world = World::new().await;
    let (megan, _) = basic(&world).await;
    let options = [
        "$filter=contains(body/content,'launch')",
        "$filter=startswith(bodyPreview,'t')",
        "$filter=not(bodyPreview%20eq%20'x')",
        "$filter=isRead%20eq%20true%20or%20contains(tolower(bodyPreview),'launch')",
        "$filter=singleValueExtendedProperties/any(p:p/id%20eq%20'x'%20and%20p/value%20eq%20'y')",
        "$filter=attachments/any(a:a/name%20eq%20'a.txt')",
        "filter=bodyPreview%20ne%20''",
        "$orderby=bodyPreview",
        "$search=launch",
        "$search=%22subject:Plans%22",
        "search=launch",
    ];
    for option in options {
        let paths = [format!("/v1.0/me/messages?{option}"), format!("/v1.0/me/messages/$count?{option}")];
        assert_denied(&megan, &paths).await;
    }
}

#[tokio::test]
async fn widening_basic_access_by_another_way_to_the_content_fails() {
    let world = World::new().await;
    let (megan, item) = basic(&world).await;
    let whole = world.megan().get(&format!("{item}/attachments")).await.text("/value/0/id");
    let ways = ["$value", "attachments", "attachments/$count", "extensions", "extensions/Com.Plan"];
    let mut paths: Vec<String> = ways.iter().map(|way| format!("{item}/{way}")).collect();
    paths.push(format!("{item}/attachments/{whole}"));
    paths.push(format!("{item}/attachments/{whole}/$value"));
    assert_denied(&megan, &paths).await;
    let requests: Vec<Value> = paths
        .iter()
        .enumerate()
        .map(|(id, path)| json!({"id": id.to_string(), "method": "GET", "url": path}))
        .collect();
    let batch = ok(megan.post("/v1.0/$batch", json!({"requests": requests})).await, StatusCode::OK);
    assert_hidden(&batch, "batch");
    assert!(batch.json["responses"].as_array().unwrap().iter().all(|answer| answer["status"] == 403), "{}", batch.json);
}

#[tokio::test]
async fn a_delta_token_of_who_may_read_shows_nothing_more_with_basic_access() {
    let world = World::new().await;
    let (megan, _) = basic(&world).await;
    letter(&world.megan()).await;
    let first = "/v1.0/me/mailFolders/drafts/messages/delta?$top=1&$select=subject,body&$expand=attachments";
    let link = ok(world.megan().get(first).await, StatusCode::OK).text("/@odata.nextLink");
    let reply = ok(megan.get(link.strip_prefix("http://graph.test:8443").unwrap()).await, StatusCode::OK);
    assert_eq!(reply.json["value"][0]["subject"], "Plans");
    assert_hidden(&reply, "delta");
}

#[tokio::test]
async fn basic_access_hears_nothing_of_what_it_hides() {
    let world = World::new().await;
    let (megan, _) = basic(&world).await;
    for resource in [
        "me/messages?$filter=contains(bodyPreview,'launch')",
        "me/messages?$select=subject,bodyPreview",
        "me/messages?$expand=singleValueExtendedProperties($filter=id eq 'String {00020329-0000-0000-C000-000000000046} Name Plan')",
        "me/events",
    ] {
        let reply = megan.post("/v1.0/subscriptions", wish(&world, resource)).await;
        assert!(reply.refusal() == forbidden("Create") || reply.status == 400, "{resource}: {}", reply.json);
        assert_ne!(reply.status, 201, "{resource}");
    }
    subscribe(&world, &megan, "me/messages").await;
}

#[tokio::test]
async fn basic_access_gets_no_content_that_it_hides_and_keeps_none() {
    let world = World::new().await;
    let (megan, _) = basic(&world).await;
    let rich = |resource: &str| {
        let mut wish = wish(&world, resource);
        for (name, value) in [("encryptionCertificate", CERTIFICATE), ("encryptionCertificateId", "one")] {
            wish[name] = value.into();
        }
        wish["includeResourceData"] = true.into();
        wish
    };
    let hidden = "me/messages?$select=subject,bodyPreview";
    let expanded = "me/messages?$select=subject&$expand=singleValueExtendedProperties";
    for resource in [hidden, expanded] {
        let refused = megan.post("/v1.0/subscriptions", rich(resource)).await;
        assert_eq!(refused.refusal(), forbidden("Create"), "{resource}");
    }
    ok(megan.post("/v1.0/subscriptions", rich("me/messages?$select=subject")).await, StatusCode::CREATED);
    // What was made with more than basic access is not renewed with it.
    let made = ok(world.megan().post("/v1.0/subscriptions", rich(hidden)).await, StatusCode::CREATED);
    let path = format!("/v1.0/subscriptions/{}", made.text("/id"));
    let later = json!({"expirationDateTime": world.state.clock.wall().plus_minutes(90)});
    assert_eq!(megan.patch(&path, later).await.refusal(), forbidden("Update"));
    let reauthorized = megan.send("POST", &format!("{path}/reauthorize"), String::new()).await;
    assert_eq!(reauthorized.refusal(), forbidden("Update"));
}

#[tokio::test]
async fn basic_access_shows_events_without_what_it_hides() {
    let world = World::new().await;
    let time = |hour: u32| json!({"dateTime": format!("2026-12-01T{hour:02}:00:00"), "timeZone": "UTC"});
    let body = json!({"subject": "Plans", "start": time(9), "end": time(10), "body": {"contentType": "text", "content": SECRET},
                      "recurrence": {"pattern": {"type": "daily", "interval": 1},
                                     "range": {"type": "numbered", "startDate": "2026-12-01", "numberOfOccurrences": 2}}});
    let id = ok(world.megan().post("/v1.0/me/events", body).await, StatusCode::CREATED).text("/id");
    let (megan, _) = basic(&world).await;
    let window = "startDateTime=2026-12-01&endDateTime=2026-12-03";
    let view = format!("/v1.0/me/calendarView?{window}");
    let occurrence = ok(megan.get(&view).await, StatusCode::OK).text("/value/0/id");
    for path in [
        "/v1.0/me/events".to_owned(),
        format!("/v1.0/me/events/{id}"),
        view.clone(),
        format!("/v1.0/me/calendarView/delta?{window}"),
        format!("/v1.0/me/events/{id}/instances?{window}"),
        format!("/v1.0/me/events/{occurrence}"),
        "/v1.0/me/events/delta".to_owned(),
        "/v1.0/me/calendar/events".to_owned(),
    ] {
        let reply = megan.get(&path).await;
        assert_hidden(&reply, &path);
        assert!(reply.status == 200 && reply.json.to_string().contains("Plans"), "{path}: {}", reply.json);
    }
    let closed = [
        format!("{view}&$select=body"),
        format!("/v1.0/me/events/{id}/attachments"),
        format!("/v1.0/me/events/{id}/extensions"),
        format!("/v1.0/me/events/{occurrence}?$select=bodyPreview"),
        "/v1.0/me/events?$filter=contains(bodyPreview,'launch')".to_owned(),
    ];
    assert_denied(&megan, &closed).await;
}
