//! Transforms: `check` and `apply`, each in a fresh instance that reaches nothing.

use crate::{
    WasmRuntime,
    attempt::{OCTETS, is_media_type},
    bindings::{transform::exports::julee::action::transformer as wit, v0_1::julee::action::model},
    outcome::{self, short},
    prepared::Prepared,
};
use action_domain::{
    digest::Digest,
    failure::{ErrorCode, ExecutionError},
    limits::{ISSUES_MAX, TRANSFORM_LIMITS},
    payload::{Payload, is_json},
    secret::Redactor,
    services::{RuntimeError, TransformError, TransformRequest},
    transform::Mistake,
};
use bytes::Bytes;
use serde::de::IgnoredAny;
use std::sync::Arc;

impl WasmRuntime {
    pub(crate) async fn check(
        &self,
        transform: Digest,
        expression: &str,
        variables: &[&str],
    ) -> Result<Vec<Mistake>, RuntimeError> {
        let prepared = self.components.get(transform).await?;
        match self.check_with(&prepared, expression, variables).await {
            Ok(mistakes) => Ok(mistakes),
            Err(error) if error.code == ErrorCode::HostError => Err(RuntimeError::Host(error.message)),
            Err(error) => Ok(vec![Mistake { offset: None, message: error.message }]),
        }
    }

    pub(crate) async fn check_with(
        &self,
        prepared: &Prepared,
        expression: &str,
        variables: &[&str],
    ) -> Result<Vec<Mistake>, ExecutionError> {
        let _place = self.aside.acquire().await.map_err(|_| WasmRuntime::shutting_down())?;
        let mut invocation = self.reaching_nothing(&TRANSFORM_LIMITS, Arc::default())?;
        let variables: Vec<String> = variables.iter().map(ToString::to_string).collect();
        let expression = expression.to_owned();
        let (store, stopwatch) = invocation.parts();
        let answer = stopwatch.phase(TRANSFORM_LIMITS.timeout(), async {
            let transform = prepared.transform()?.instantiate_async(&mut *store).await?;
            transform.julee_action_transformer().call_check(store, &expression, &variables).await
        });
        match answer.await {
            Ok(Ok(())) => Ok(Vec::new()),
            Ok(Err(mistakes)) if mistakes.is_empty() => {
                Ok(vec![Mistake { offset: None, message: "the transform refuses it and does not say why".to_owned() }])
            }
            Ok(Err(mistakes)) => Ok(mistakes.into_iter().take(ISSUES_MAX).map(mistake).collect()),
            Err(ended) => Err(outcome::error(&ended, "check", invocation.state(), &TRANSFORM_LIMITS)),
        }
    }

    pub(crate) async fn apply(&self, request: TransformRequest) -> Result<Payload, TransformError> {
        let prepared = self.components.get(request.component).await?;
        let shutting_down = || ended(WasmRuntime::shutting_down());
        let place = self.transforms.clone().acquire_owned().await.map_err(|_| shutting_down())?;
        let mut invocation = self.reaching_nothing(&TRANSFORM_LIMITS, Arc::default()).map_err(ended)?;
        let (expression, variables) = (request.expression.to_string(), request.variables.to_string());
        let input =
            model::Payload { content_type: request.input.content_type.to_string(), data: request.input.data.into() };
        let apply = async move {
            let _place = place;
            let (store, stopwatch) = invocation.parts();
            let answer = stopwatch.phase(TRANSFORM_LIMITS.timeout(), async {
                let transform = prepared.transform()?.instantiate_async(&mut *store).await?;
                transform.julee_action_transformer().call_apply(store, &expression, &input, &variables).await
            });
            match answer.await {
                Ok(Ok(output)) => checked(output),
                Ok(Err(error)) => Err(TransformError::Mistake(mistake(error))),
                Err(why) => Err(ended(outcome::error(&why, "the expression", invocation.state(), &TRANSFORM_LIMITS))),
            }
        };
        self.lanes.drive(apply).await.unwrap_or_else(|| Err(shutting_down()))
    }
}

fn ended(error: ExecutionError) -> TransformError {
    match error.code {
        ErrorCode::HostError => RuntimeError::Host(error.message).into(),
        _ => TransformError::Ended(error),
    }
}

fn mistake(error: wit::TransformError) -> Mistake {
    Mistake { offset: error.offset, message: short(&error.message, &Redactor::default()) }
}

/// What a transform gave is what it says, and not too much of it: strangers write them too.
fn checked(output: model::Payload) -> Result<Payload, TransformError> {
    let most = TRANSFORM_LIMITS.output_bytes;
    if output.data.len() as u64 > most {
        let message = format!("it gave {} bytes, and {most} are the most", output.data.len());
        return Err(ended(ExecutionError::new(ErrorCode::OutputTooLarge, message)));
    }
    let json =
        |data: &[u8]| std::str::from_utf8(data).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    if is_json(&output.content_type) && !json(&output.data) {
        let message = "it gave what it says is JSON and is not".to_owned();
        return Err(TransformError::Mistake(Mistake { offset: None, message }));
    }
    let content_type: Arc<str> =
        if is_media_type(&output.content_type) { output.content_type.into() } else { OCTETS.into() };
    Ok(Payload { content_type, data: Bytes::from(output.data) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_header_can_have_is_no_media_type() {
        let checked = |content_type: &str| {
            let output = model::Payload { content_type: content_type.into(), data: b"1".to_vec() };
            checked(output).unwrap().content_type
        };
        assert_eq!(&*checked("text/plain; charset=utf-8"), "text/plain; charset=utf-8");
        for odd in ["text/html\u{b}", "text/html\r\nset-cookie: a=b", "html", &format!("text/{}", "x".repeat(300))] {
            assert_eq!(&*checked(odd), OCTETS, "{odd:?}");
        }
    }
}
