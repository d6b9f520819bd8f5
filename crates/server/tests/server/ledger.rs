//! The ledgers that operators look at, and what counting again finds.

use std::collections::BTreeMap;

use graph::{ChangeType, Partition, SubscriptionId};
use notify::{AbandonReason, Checkpoint, LedgerDelta, Parked, ParkedRef, Position, Stream, StreamKind};
use serde_json::{Value, json};
use store::NodeId;
use tidings_server::seed;
use uuid::Uuid;

use crate::admin::call;
use crate::world::World;

const NODE: NodeId = NodeId(Uuid::from_u128(1));

/// Megan's subscription, with three messages of which one was delivered, one is parked and one was given up.
struct Work {
    world: World,
    id: SubscriptionId,
    partition: Partition,
    checkpoints: u64,
}

impl Work {
    async fn done() -> Self {
        let world = World::on_disk().await;
        let body = json!({
            "changeType": "created",
            "notificationUrl": "https://hook.example.net/graph",
            "resource": "me/messages",
            "expirationDateTime": world.state.clock.wall().plus_minutes(60),
        });
        let id = world.megan().post("/v1.0/subscriptions", body).await.text("/id").parse().unwrap();
        for _ in 0..3 {
            assert_eq!(world.megan().post("/v1.0/me/messages", json!({ "subject": "one" })).await.status, 201);
        }
        let partition = Partition::of(seed::users()[0].id);
        let now = world.state.clock.wall();
        world.state.store.acquire(NODE, now, now.plus_minutes(1), 256).await.unwrap();
        let mut work = Self { world, id, partition, checkpoints: 0 };
        let abandoned = BTreeMap::from([(AbandonReason::Horizon, 1)]);
        let refs = vec![ParkedRef { position: Position(3), change: Some(ChangeType::Created) }];
        let stream = Stream { subscription: id, kind: StreamKind::Changes };
        let row = Parked { stream, refs, attempts: 1, due: now, since: now, batch_max: 1, pushed: None, bytes: 700 };
        work.record(LedgerDelta { matched: 3, delivered: 1, parked: 1, abandoned }, vec![row]).await;
        work
    }

    async fn record(&mut self, delta: LedgerDelta, park: Vec<Parked>) {
        self.checkpoints += 1;
        let checkpoint = Checkpoint {
            partition: self.partition,
            epoch: 1,
            number: self.checkpoints,
            cursor: Position(4),
            wall: self.world.state.clock.wall(),
            unpark: Vec::new(),
            park,
            ledger: BTreeMap::from([(self.id, delta)]),
            incidents: BTreeMap::new(),
            health: BTreeMap::new(),
        };
        self.world.state.store.checkpoint(checkpoint).await.unwrap();
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = call(&self.world, "hush", "GET", path, "").await;
        assert_eq!(status, 200, "{body}");
        body
    }

    async fn verified(&self) -> Value {
        self.get("/admin/ledger/verify").await
    }

    /// What does not agree: about what, what was expected and what was found.
    async fn discrepancies(&self) -> Vec<Value> {
        let verified = self.verified().await;
        let found = verified["discrepancies"].as_array().unwrap();
        assert_eq!(verified["balances"], found.is_empty());
        assert!(found.iter().all(|one| one["partition"] == self.partition.0), "{verified}");
        found.iter().map(|one| json!([one["about"], one["expected"], one["found"]])).collect()
    }

    /// The key of a record of the log.
    fn key(&self, position: i64) -> i64 {
        i64::from(self.partition.0) << 48 | position
    }
}

#[tokio::test]
async fn the_ledger_of_an_app_has_its_sums_and_each_subscription() {
    let mut work = Work::done().await;
    let path = format!("/v1.0/subscriptions/{}", work.id);
    assert_eq!(work.world.megan().delete(&path).await.status, 204);
    work.record(LedgerDelta { matched: 1, delivered: 1, ..LedgerDelta::default() }, Vec::new()).await;
    let sums = json!({ "matched": 4, "delivered": 2, "parked": 1, "abandoned": { "horizon": 1 } });
    assert_eq!(work.get(&format!("/admin/subscriptions/{}/ledger", work.id)).await, sums);
    let with = |more: Value| {
        let mut all = sums.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let one = with(json!({ "id": work.id.to_string(), "live": false }));
    let all = with(json!({ "subscriptions": 1, "gone": 0, "value": [one], "more": false }));
    assert_eq!(work.get(&format!("/admin/apps/{}/ledger", seed::APP)).await, all);
    let none = work.get(&format!("/admin/apps/{}/ledger?after={}", seed::APP, work.id)).await;
    assert_eq!((&none["value"], &none["matched"]), (&json!([]), &json!(4)), "the sums are those of all");
    assert_eq!(work.get("/admin/ledger").await, with(json!({ "subscriptions": 1, "gone": 0 })));
    for app in ["nobody", &Uuid::from_u128(7).to_string()] {
        let (status, body) = call(&work.world, "hush", "GET", &format!("/admin/apps/{app}/ledger"), "").await;
        assert_eq!(status, 404, "{body}");
    }
}

#[tokio::test]
async fn a_ledger_that_is_right_balances() {
    let work = Work::done().await;
    let verified = work.verified().await;
    let (partitions, records) = (256, 4);
    assert_eq!(
        verified,
        json!({ "balances": true, "partitions": partitions, "records": records, "subscriptions": 1,
                "discrepancies": [], "more": false })
    );
    let (status, refused) = call(&work.world, "hush", "GET", "/admin/ledger/verify?partition=256", "").await;
    assert_eq!((status.as_u16(), &refused["error"]), (400, &json!("there is no partition 256; they are 0 to 255")));
}

#[tokio::test]
async fn a_match_that_the_log_does_not_have_is_found() {
    let mut work = Work::done().await;
    work.record(LedgerDelta { matched: 1, delivered: 1, ..LedgerDelta::default() }, Vec::new()).await;
    assert_eq!(work.discrepancies().await, [json!(["matched", 3, 4])]);
    let verified = work.verified().await;
    let named = &verified["discrepancies"][0];
    assert_eq!(named["subscription"], work.id.to_string());
    assert_eq!(named["text"], "the log has 3 matches, the ledger 4");
}

#[tokio::test]
async fn a_ledger_that_does_not_add_up_is_found() {
    let mut work = Work::done().await;
    work.record(LedgerDelta { delivered: 1, ..LedgerDelta::default() }, Vec::new()).await;
    assert_eq!(work.discrepancies().await, [json!(["balance", 4, 3])]);
}

#[tokio::test]
async fn what_was_abandoned_for_a_pause_that_never_was_is_found() {
    let mut work = Work::done().await;
    let abandoned = BTreeMap::from([(AbandonReason::Paused, 1)]);
    let delta = LedgerDelta { parked: -1, abandoned, ..LedgerDelta::default() };
    work.world.tamper("DELETE FROM parked");
    work.record(delta, Vec::new()).await;
    assert_eq!(work.discrepancies().await, [json!(["paused", 0, 1])]);
}

#[tokio::test]
async fn a_parked_row_that_is_gone_is_found() {
    let work = Work::done().await;
    work.world.tamper("DELETE FROM parked");
    assert_eq!(work.discrepancies().await, [json!(["parked", 0, 1])]);
}

#[tokio::test]
async fn a_record_that_is_gone_from_the_log_is_found() {
    let work = Work::done().await;
    work.world.tamper(&format!("DELETE FROM log WHERE key = {}", work.key(4)));
    assert_eq!(work.discrepancies().await, [json!(["log", 4, null])]);
    work.world.tamper(&format!("UPDATE log SET key = key + 1 WHERE key = {}", work.key(3)));
    assert_eq!(work.discrepancies().await, [json!(["log", 3, 4])]);
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_the_rest_is_verified() {
    let work = Work::done().await;
    work.world.tamper(&format!("UPDATE log SET record = x'7b' WHERE key = {}", work.key(3)));
    let verified = work.verified().await;
    let text = verified["discrepancies"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("column record of row 3 in table log is corrupt"), "{text}");
    assert_eq!((&verified["partitions"], &verified["balances"]), (&json!(256), &json!(false)));
    work.world.tamper("UPDATE partition SET unfolded = x'01'  WHERE unfolded != x''");
    assert_eq!(work.discrepancies().await, [json!(["row", null, null])]);
}
