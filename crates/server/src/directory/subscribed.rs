//! What the directory means for subscriptions. Those of an app or user that is gone or may not act any more end, and
//! their apps are told; where a permission was taken back, the app is asked to reauthorize.
//!
//! All of it looks at what is so now and takes no word of what was changed: to run it again does what a crash
//! has left undone, and nothing twice.

use std::sync::Arc;

use graph::{SubscriptionId, TenantId, Timestamp};
use notify::access::{self, Actor, Permissions, Principal};
use notify::log::{Cause, EndReason};
use notify::{Subscription, reauthorization};
use store::{App, Store, StoreError, SubscriptionError, SubscriptionQuery, User};

/// Subscriptions read at once.
const PAGE: u64 = 500;
/// How often a subscription is looked at anew that its app changes at the same time.
const TRIES: usize = 5;

/// Ends what was made for a user who may not sign in any more, or has not since it was last authorized. Of what
/// was kept before that time was, nobody knows when it was authorized.
pub async fn settle_user(store: &dyn Store, user: &User) -> Result<(), StoreError> {
    if user.enabled && user.sessions_valid_from == Timestamp::default() {
        return Ok(());
    }
    let of_user = |found: &Subscription| match user.enabled {
        false => Some(EndReason::UserDisabled),
        true if found.authorized == Timestamp::default() => None,
        true => (found.authorization().0 < user.sessions_valid_from).then_some(EndReason::SessionsEnded),
    };
    let made_for = SubscriptionQuery { creator: Some(user.id), ..all_of(user.tenant) };
    end_some(store, made_for, of_user).await
}

/// Ends what was made for a user, and what watches the mailbox.
pub async fn end_of_user(store: &dyn Store, user: &User) -> Result<(), StoreError> {
    let made_for = SubscriptionQuery { creator: Some(user.id), ..all_of(user.tenant) };
    end_some(store, made_for, |_| Some(EndReason::UserRemoved)).await?;
    let of_mailbox = SubscriptionQuery { mailbox: Some(user.id), ..all_of(user.tenant) };
    end_some(store, of_mailbox, |_| Some(EndReason::UserRemoved)).await
}

/// Asks an app to reauthorize the subscriptions of a tenant that it may not hear of as things are; those of an
/// app that is disabled end.
pub async fn settle_app(store: &dyn Store, app: &App, tenant: TenantId, now: Timestamp) -> Result<(), StoreError> {
    let of_app = SubscriptionQuery { app: Some(app.id), ..all_of(tenant) };
    if !app.enabled {
        return end_some(store, of_app, |_| Some(EndReason::AppRemoved)).await;
    }
    let mut query = of_app;
    loop {
        let page = store.subscriptions(query).await?;
        for found in &page {
            ask_if_lost(store, app, found, now).await?;
        }
        match page.last().filter(|_| page.len() as u64 == PAGE) {
            Some(last) => query.after = Some(last.id),
            None => return Ok(()),
        }
    }
}

/// The same in every tenant, as far as it follows from the app itself: it can be used in others than its home.
pub async fn settle_app_everywhere(store: &dyn Store, app: &App, now: Timestamp) -> Result<(), StoreError> {
    if app.enabled && app.mailboxes.is_none() {
        return Ok(());
    }
    for tenant in store.tenants().await? {
        settle_app(store, app, tenant.id, now).await?;
    }
    Ok(())
}

/// Does what was left undone when the process ended in between.
pub async fn settle_all(store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
    let tenants = store.tenants().await?;
    for tenant in &tenants {
        let users = store.users(tenant.id).await?;
        for user in &users {
            settle_user(store, user).await?;
        }
        for app in store.apps(tenant.id).await? {
            settle_app_everywhere(store, &app, now).await?;
            for place in &tenants {
                let consents = store.consents(place.id, app.id).await?;
                if consents.iter().any(|consent| consent.revoked.is_some()) {
                    settle_app(store, &app, place.id, now).await?;
                }
            }
        }
    }
    Ok(())
}

fn all_of(tenant: TenantId) -> SubscriptionQuery {
    SubscriptionQuery { tenant, app: None, creator: None, mailbox: None, after: None, limit: PAGE }
}

/// Ends those of what a query finds that have a reason to.
async fn end_some(
    store: &dyn Store,
    mut query: SubscriptionQuery,
    reason: impl Fn(&Subscription) -> Option<EndReason>,
) -> Result<(), StoreError> {
    loop {
        let page = store.subscriptions(query).await?;
        for found in page.iter().filter(|found| reason(found).is_some()) {
            end_one(store, found.id, &reason).await?;
        }
        match page.last().filter(|_| page.len() as u64 == PAGE) {
            Some(last) => query.after = Some(last.id),
            None => return Ok(()),
        }
    }
}

/// Ends a subscription if it has a reason to as it is now: its app may have renewed or ended it since it was listed.
async fn end_one(
    store: &dyn Store,
    id: SubscriptionId,
    reason: &impl Fn(&Subscription) -> Option<EndReason>,
) -> Result<(), StoreError> {
    for _ in 0..TRIES {
        let Some(found) = store.subscription(id).await? else { return Ok(()) };
        let Some(reason) = reason(&found) else { return Ok(()) };
        match store.end_subscription(id, reason, Some(found.expires)).await {
            Err(SubscriptionError::Store(error)) => return Err(error),
            Err(SubscriptionError::Changed) => {}
            Ok(_) | Err(SubscriptionError::NotFound) => return Ok(()),
        }
    }
    Ok(())
}

/// Asks an app to reauthorize a subscription if it may not hear of what that watches.
async fn ask_if_lost(
    store: &dyn Store,
    app: &App,
    found: &Arc<Subscription>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut current = Some(Arc::clone(found));
    for _ in 0..TRIES {
        let Some(before) = current else { return Ok(()) };
        if may_hear(store, app, &before).await? {
            return Ok(());
        }
        let record = reauthorization::question_id(before.id, now);
        match store.require_reauthorization(Arc::clone(&before), record, Cause::AccessLost { at: now }).await {
            Err(SubscriptionError::Store(error)) => return Err(error),
            Err(SubscriptionError::Changed) => {}
            Ok(_) | Err(SubscriptionError::NotFound) => return Ok(()),
        }
        // Either its app has just changed it, and must be asked as it is now, or it was asked already.
        current = store.subscription(before.id).await?.filter(|after| *after != before);
    }
    Ok(())
}

/// Whether an app holds a permission for what a subscription watches, and may use it there.
async fn may_hear(store: &dyn Store, app: &App, subscription: &Subscription) -> Result<bool, StoreError> {
    let creator = subscription.creator;
    // What an app makes for itself is made by its service principal.
    let user = store.user(creator).await?.map(|user| user.id);
    let held = store.granted(subscription.tenant, subscription.app, user).await?;
    let principal = Principal {
        tenant: subscription.tenant,
        app: subscription.app,
        actor: user.map_or(Actor::App(creator), Actor::User),
        held: Permissions::of(held.iter().map(String::as_str)),
        admin: false,
        expires: None,
    };
    let (need, owner) = access::to_hold(subscription);
    let narrowed = app.mailboxes.as_ref().filter(|_| user.is_none());
    Ok(access::check(&principal, &[need], owner, narrowed).is_ok())
}
