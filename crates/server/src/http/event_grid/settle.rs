//! `POST …/eventsubscriptions/{name}:acknowledge|release|reject|renewLock` with `{"lockTokens":[…]}`: 200 with a result for
//! each token, whatever became of them. A token that is none of this event subscription is `BadToken`; one whose lock is
//! over, or that was used before, `TokenLost`.

use notify::Topic;
use notify::topic::Settlement;
use protocol::event_grid::pull::{LockTokenFailure, Settled, Settling, lock_tokens, release_delay_seconds};
use store::{EventSubscriptionKey, Settle, TokenFailure};

use super::refusal::Refusal;
use super::{Call, Done};

pub(super) async fn settle(
    call: &Call<'_>,
    topic: &Topic,
    name: &str,
    how: Settling,
    body: &[u8],
) -> Result<Done, Refusal> {
    let how = match how {
        Settling::Acknowledge => Settlement::Acknowledge,
        Settling::Release => {
            let delay_seconds = release_delay_seconds(call.option("releaseDelayInSeconds"))?;
            Settlement::Release { delay_seconds }
        }
        Settling::Reject => Settlement::Reject,
        Settling::RenewLock => Settlement::RenewLock,
    };
    let tokens = lock_tokens(body)?;
    let key = EventSubscriptionKey::new(topic.id, name);
    let settle = Settle { tokens: tokens.clone(), how, now: call.state.clock.wall() };
    let outcomes = call.state.store.settle(key, settle).await?;
    if matches!(how, Settlement::Release { .. }) {
        // Somebody who waits may have it at once, or must know when.
        call.state.arrivals.ring(topic.id);
    }
    let mut settled = Settled::default();
    for (token, outcome) in tokens.into_iter().zip(outcomes) {
        match outcome {
            Ok(()) => settled.succeeded_lock_tokens.push(token),
            Err(TokenFailure::Bad) => settled.fail(token, LockTokenFailure::Bad),
            Err(TokenFailure::Lost) => settled.fail(token, LockTokenFailure::Lost),
        }
    }
    Ok(Done::ok(&settled))
}
