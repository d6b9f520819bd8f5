//! An app asks too much.

use http::StatusCode;
use notify::Profile;
use notify::throttle::{Rate, SubscriptionRate, ThrottleLimits};
use serde_json::json;

use crate::world::{World, ok, settled};

fn limits(throttle: ThrottleLimits) -> Profile {
    Profile { throttle, ..Profile::documented() }
}

#[tokio::test]
async fn flood_of_requests_to_a_mailbox_is_answered_429_and_when_to_come_again() {
    let three = ThrottleLimits { mailbox: Rate { units: 3, seconds: 600 }, ..ThrottleLimits::documented() };
    let world = World::throttled(limits(three)).await;
    for path in ["/v1.0/me/messages", "/v1.0/users/megan@contoso.test/contacts", "/v1.0/me/messages/x"] {
        assert_ne!(world.megan().get(path).await.status, 429, "{path}");
    }
    let refused = world.megan().get("/v1.0/me/messages").await;
    insta::assert_json_snapshot!(settled(&refused.json), @r#"
    {
      "error": {
        "code": "TooManyRequests",
        "innerError": {
          "client-request-id": "7d6c0c2a-0000-4000-8000-000000000001",
          "code": "429",
          "date": "[date]",
          "message": "Please retry after",
          "request-id": "[request-id]",
          "status": "429"
        },
        "message": "Please retry again later."
      }
    }
    "#);
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("retry-after"), "600");
    // Another mailbox of the same app is open.
    ok(world.adele().get("/v1.0/me/messages").await, StatusCode::OK);
}

#[tokio::test]
async fn a_fifth_request_at_a_time_to_a_mailbox_is_refused_and_places_return() {
    let world = World::throttled(limits(ThrottleLimits { mailbox_at_a_time: 0, ..ThrottleLimits::documented() })).await;
    let refused = world.megan().get("/v1.0/me/messages").await;
    assert_eq!(refused.refusal(), "429 ApplicationThrottled: Application is over its MailboxConcurrency limit.");
    assert_eq!(refused.header("retry-after"), "1");
    // One after another there is no end of requests, whatever becomes of them.
    let world = World::throttled(limits(ThrottleLimits { mailbox_at_a_time: 1, ..ThrottleLimits::documented() })).await;
    for _ in 0..20 {
        ok(world.megan().get("/v1.0/me/messages").await, StatusCode::OK);
        assert_eq!(world.megan().get("/v1.0/me/messages/x").await.status, 400);
    }
}

#[tokio::test]
async fn subscriptions_have_limits_of_their_own() {
    let world = World::throttled(Profile::documented()).await;
    for _ in 0..25 {
        ok(world.megan().get("/v1.0/subscriptions").await, StatusCode::OK);
    }
    let refused = world.megan().get("/v1.0/subscriptions").await;
    assert_eq!(refused.refusal(), "429 TooManyRequests: Please retry again later.");
    let retry_after: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=20).contains(&retry_after), "{retry_after}");
    assert_eq!(world.megan().post("/v1.0/subscriptions", json!({})).await.status, 400);
}

#[tokio::test]
async fn writes_reads_lists_and_reauthorizations_of_subscriptions_are_counted_apart() {
    let two = SubscriptionRate { all_tenants: 100, one_tenant: 2 };
    let throttle = ThrottleLimits {
        subscription_writes: two,
        subscription_reauthorizations: two,
        subscription_reads: two,
        subscription_lists: two,
        ..ThrottleLimits::documented()
    };
    let one = "/v1.0/subscriptions/00000000-0000-0000-0000-000000000063";
    let reauthorize = format!("{one}/reauthorize");
    let operations = [
        ("write", "POST", "/v1.0/subscriptions"),
        ("write", "PATCH", one),
        ("write", "DELETE", one),
        ("reauthorize", "POST", reauthorize.as_str()),
        ("read", "GET", one),
        ("list", "GET", "/v1.0/subscriptions"),
    ];
    for (class, method, path) in operations {
        let world = World::throttled(limits(throttle)).await;
        for _ in 0..2 {
            assert_ne!(world.megan().send(method, path, "{}".to_owned()).await.status, 429, "{method} {path}");
        }
        let refused = world.megan().send(method, path, "{}".to_owned()).await;
        assert_eq!(refused.refusal(), "429 TooManyRequests: Please retry again later.", "{method} {path}");
        let retry_after: u32 = refused.header("retry-after").parse().unwrap();
        assert!((1..=20).contains(&retry_after), "{method} {path}: {retry_after}");
        // Another user's calls by the same app count too; what is counted apart is open.
        assert_eq!(world.adele().send(method, path, "{}".to_owned()).await.status, 429, "{method} {path}");
        for (other, method, path) in &operations[2..] {
            let reply = world.megan().send(method, path, "{}".to_owned()).await;
            assert_eq!(reply.status == 429, *other == class, "{class}: {method} {path}");
        }
    }
}

#[tokio::test]
async fn a_new_subscription_a_renewal_and_an_end_are_counted_together() {
    let three = SubscriptionRate { all_tenants: 100, one_tenant: 3 };
    let world =
        World::throttled(limits(ThrottleLimits { subscription_writes: three, ..ThrottleLimits::documented() })).await;
    let one = "/v1.0/subscriptions/00000000-0000-0000-0000-000000000063";
    for (method, path) in [("POST", "/v1.0/subscriptions"), ("PATCH", one), ("DELETE", one)] {
        assert_ne!(world.megan().send(method, path, "{}".to_owned()).await.status, 429, "{method}");
    }
    assert_eq!(world.megan().delete(one).await.status, 429);
}

#[tokio::test]
async fn nobody_is_throttled_unless_it_was_asked_for() {
    let one = ThrottleLimits { mailbox: Rate { units: 1, seconds: 600 }, ..ThrottleLimits::documented() };
    let world = World::with(limits(one)).await;
    for _ in 0..5 {
        ok(world.megan().get("/v1.0/me/messages").await, StatusCode::OK);
    }
}
