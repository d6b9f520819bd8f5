//! Who calls: the bearer of an access token of the built-in issuer, or of another one that the operator named.

use graph::Timestamp;
use notify::access::Principal;

use super::external::NotAccepted;
use super::scope::Api;
use super::standing;
use super::tokens::TokenError;
use crate::app::AppState;
use crate::http::error::ApiError;

/// The caller with what it may do at `now`. For which API a token is, the built-in issuer says in it; of other issuers the
/// operator says which audiences they have, and that is for all APIs.
pub async fn caller(state: &AppState, api: Api, token: &str, now: Timestamp) -> Result<Principal, ApiError> {
    if token.is_empty() {
        return Err(TokenError::Empty.into());
    }
    if state.built_in_issuer {
        match state.tokens.check(token, now) {
            Ok(bearer) if bearer.api != api => return Err(TokenError::Audience.into()),
            Ok(bearer) => return standing::admit(&state.directory, &bearer).await,
            // None of our keys signed it; somebody else's may have.
            Err(TokenError::Invalid) if !state.issuers.is_empty() => {}
            Err(error) => return Err(error.into()),
        }
    }
    of_another_issuer(state, token, now).await.map_err(|refusal| match refusal {
        NotAccepted::For(reason) => {
            state.issuers.tell(&reason);
            reason.told().into()
        }
        NotAccepted::Unavailable => ApiError::IssuerUnavailable,
        NotAccepted::Standing(error) => error,
    })
}

async fn of_another_issuer(state: &AppState, token: &str, now: Timestamp) -> Result<Principal, NotAccepted> {
    let claimed = state.issuers.check(token, now).await?;
    standing::admit_claimed(&state.directory, &claimed).await
}
