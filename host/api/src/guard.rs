//! Lets callers in: asks whose the bearer is and whether it may do what it wants, before a handler
//! sees the request.

use crate::{
    ApiState, Peer, Principal, Scope, Scopes, Stranger, auth::Fingerprint, error::Problem, request::caller::Caller,
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// What a route asks of its callers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// One of these scopes.
    pub(crate) scopes: Scopes,
    /// Whether it is there for tokens that are limited to actions too, and sees to it that they
    /// reach no others.
    pub(crate) keeps_to_reach: bool,
}

pub(crate) async fn guard(
    State((state, needs)): State<(ApiState, Needs)>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get().copied().unwrap_or(Peer::UNKNOWN);
    match authorize(&state, needs, request.headers(), peer).await {
        Ok(principal) => {
            request.extensions_mut().insert(Caller::new(principal));
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn authorize(state: &ApiState, needs: Needs, headers: &HeaderMap, peer: Peer) -> Result<Principal, Problem> {
    let Some(bearer) = bearer(headers)? else {
        let detail = "a token is needed: Authorization: Bearer …";
        return Err(unauthorized("token_missing", detail, "Bearer realm=\"action-service\""));
    };
    let principal = identify(state, bearer, peer).await?;
    if !principal.scopes.allow(needs.scopes) {
        return Err(scope_missing(&principal, needs.scopes));
    }
    if principal.reach.is_some() && !needs.keeps_to_reach {
        let detail = "the token is limited to actions, and this is about more than one action";
        return Err(Problem::new(StatusCode::FORBIDDEN, "token_limited", detail));
    }
    Ok(principal)
}

/// Whose the bearer is. Failures are counted by where they come from.
async fn identify(state: &ApiState, bearer: &str, peer: Peer) -> Result<Principal, Problem> {
    let (logins, now) = (state.logins(), state.engine().clock().now());
    let wait = logins.wait(peer, now);
    let guessable = state.auth().can_be_guessed(bearer);
    let login = guessable.then(|| Fingerprint::of(peer, bearer));
    let identified = match (wait, &login) {
        // Looking would tell whether the guess was right.
        (Some(_), Some(login)) if !logins.is_known(login) => Err(Stranger::Unknown),
        _ => state.auth().authenticate(bearer).await,
    };
    match identified {
        Ok(principal) => {
            if let Some(login) = login {
                logins.was_right(login);
            }
            Ok(principal)
        }
        Err(Stranger::Unavailable(error)) => Err(error.into()),
        // It is no guess: whoever sends it had the secret.
        Err(Stranger::Expired) => {
            let challenge = "Bearer realm=\"action-service\", error=\"invalid_token\"";
            Err(unauthorized("token_expired", "the token has expired", challenge))
        }
        Err(Stranger::Unknown) => {
            let then = logins.failed(peer, now);
            if let Some(wait) = wait {
                return Err(Problem::too_many_failed_logins(wait));
            }
            tracing::info!(%peer, "api.login.failed");
            if then.is_some() {
                tracing::warn!(%peer, failures = logins.count(), "api.login.too_many");
            }
            Err(token_invalid())
        }
    }
}

/// Also behind a body: a token may be revoked while it comes in.
pub(crate) fn token_invalid() -> Problem {
    let challenge = "Bearer realm=\"action-service\", error=\"invalid_token\"";
    unauthorized("token_invalid", "the token is not valid (any more)", challenge)
}

fn scope_missing(principal: &Principal, needed: Scopes) -> Problem {
    tracing::info!(principal = %principal.actor, %needed, "api.request.scope_missing");
    let words: Vec<&str> = needed.iter().map(Scope::as_str).collect();
    let detail = format!("the token needs the scope {}", words.join(" or "));
    let challenge = format!("Bearer realm=\"action-service\", error=\"insufficient_scope\", scope=\"{needed}\"");
    let problem = Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail);
    // Words of scopes are always legal in a header.
    match HeaderValue::from_str(&challenge) {
        Ok(challenge) => problem.header(header::WWW_AUTHENTICATE, challenge),
        Err(_) => problem,
    }
}

fn unauthorized(code: &'static str, detail: &'static str, challenge: &'static str) -> Problem {
    let challenge = HeaderValue::from_static(challenge);
    Problem::new(StatusCode::UNAUTHORIZED, code, detail).header(header::WWW_AUTHENTICATE, challenge)
}

/// The token of `Authorization: Bearer …` (RFC 6750); the scheme's case does not matter. Of two such headers
/// somebody before the service may have looked at the other one: neither counts.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        let challenge = "Bearer realm=\"action-service\", error=\"invalid_request\"";
        return Err(unauthorized("token_invalid", "there is more than one Authorization header", challenge));
    }
    let token = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    Ok(token.filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests;
