//! `describe` and `validate-config`: what a component says without reaching anything.

use crate::{
    WasmRuntime,
    bindings::v0_1::julee::action::model,
    capability::gate::Gate,
    inspect::{self, Inspected},
    invoke::Invocation,
    outcome,
    prepared::{Prepared, blocking},
    signature,
};
use action_domain::{
    audit::PublicKey,
    digest::Digest,
    egress::Egress,
    failure::{ErrorCode, ExecutionError, Issue},
    limits::{Limits, PURE_CALL_FUEL, PURE_CALL_TIMEOUT},
    protocol::Kind,
    secret::Redactor,
    services::{Accepted, Admitted, Journal, RawDescriptor, RawExample, RuntimeError, ValidateError},
};
use bytes::Bytes;
use std::{sync::Arc, time::Instant};

/// For calls that nobody has set limits for. Language runtimes need tens of MiB.
const PURE_CALL_LIMITS: Limits = Limits {
    timeout_ms: PURE_CALL_TIMEOUT.as_millis() as u64,
    fuel: PURE_CALL_FUEL,
    memory_bytes: 256 << 20,
    output_bytes: 8 << 20,
};

/// What becomes of a component once it is admitted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// Whoever uploaded it is about to use it.
    Used,
    /// It came with the service, and perhaps nobody ever uses it: it takes no memory before.
    Perhaps,
}

impl WasmRuntime {
    /// Asks a component that was admitted what it says of itself, once more and in a fresh instance.
    /// What it tried to reach stands in the journal, which the service itself does not look at.
    ///
    /// # Errors
    /// As for admission.
    pub async fn describe_watched(&self, digest: Digest, journal: Arc<Journal>) -> Result<RawDescriptor, RuntimeError> {
        let prepared = self.components.get(digest).await?;
        self.describe(&prepared, journal).await.map(raw).map_err(RuntimeError::Broken)
    }

    /// `validate-config`, likewise.
    ///
    /// # Errors
    /// As for [`action_domain::services::ProtocolRuntime::validate_config`].
    pub async fn validate_watched(
        &self,
        digest: Digest,
        config: &str,
        journal: Arc<Journal>,
    ) -> Result<Accepted, ValidateError> {
        self.validate(digest, config, journal).await
    }

    /// If anybody is trusted, one of them has to have signed it.
    pub(crate) async fn admit_component(
        &self,
        component: Bytes,
        trusted: &[PublicKey],
        then: Then,
    ) -> Result<Admitted, RuntimeError> {
        let (bytes, trusted) = (component.clone(), trusted.to_vec());
        let looked_at = blocking(move || (Digest::of(&bytes), look_at(&bytes, &trusted))).await?;
        let (digest, inspected) = looked_at;
        let Inspected { imports, reconciles, kind } = inspected.map_err(RuntimeError::Refused)?;
        let candidate = self.components.try_out(digest, component).await?;
        let (function, tried) = match kind {
            Kind::Protocol => {
                let found = self.describe(&candidate.prepared, Arc::default()).await;
                ("describe", found.map(|found| Some(raw(found))))
            }
            // It says nothing of itself, and has to be able to say whether nothing is an expression.
            Kind::Transform => ("check", self.check_with(&candidate.prepared, "", &[]).await.map(|_| None)),
        };
        let descriptor = tried.map_err(|error| match error.code {
            ErrorCode::HostError => RuntimeError::Host(error.message),
            code => {
                let code = format!("{function}_{}", code.as_str());
                RuntimeError::Refused(vec![Issue::new("", code, error.message)])
            }
        })?;
        match then {
            Then::Used => self.components.keep(digest, candidate).await?,
            Then::Perhaps => self.components.keep_aside(digest, candidate).await?,
        }
        Ok(Admitted { digest, imports, reconciles, descriptor })
    }

    /// What it tries to reach meanwhile, in vain, stands in the journal.
    async fn describe(&self, prepared: &Prepared, journal: Arc<Journal>) -> Result<model::Descriptor, ExecutionError> {
        let _place = self.aside.acquire().await.map_err(|_| WasmRuntime::shutting_down())?;
        let mut invocation = self.pure(journal)?;
        let (store, stopwatch) = invocation.parts();
        let answer = stopwatch.phase(PURE_CALL_TIMEOUT, async {
            let protocol = Invocation::instantiate(&mut *store, prepared).await?;
            protocol.julee_action_protocol_api().call_describe(store).await
        });
        let answer = answer.await;
        answer.map_err(|ended| outcome::error(&ended, "describe", invocation.state(), &PURE_CALL_LIMITS))
    }

    pub(crate) async fn validate(
        &self,
        digest: Digest,
        config: &str,
        journal: Arc<Journal>,
    ) -> Result<Accepted, ValidateError> {
        let prepared = self.components.get(digest).await?;
        match self.validate_with(&prepared, config.to_owned(), journal).await {
            Ok(Ok(accepted)) => Ok(outcome::accepted(accepted, &Redactor::default())),
            Ok(Err(issues)) => Err(ValidateError::Refused(outcome::issues(issues, &Redactor::default()))),
            Err(error) if error.code == ErrorCode::HostError => Err(RuntimeError::Host(error.message).into()),
            Err(error) => Err(RuntimeError::Broken(error).into()),
        }
    }

    async fn validate_with(
        &self,
        prepared: &Prepared,
        config: String,
        journal: Arc<Journal>,
    ) -> Result<Result<model::Accepted, Vec<model::Issue>>, ExecutionError> {
        let _place = self.aside.acquire().await.map_err(|_| WasmRuntime::shutting_down())?;
        let mut invocation = self.pure(journal)?;
        let (store, stopwatch) = invocation.parts();
        let answer = stopwatch.phase(PURE_CALL_TIMEOUT, async {
            let protocol = Invocation::instantiate(&mut *store, prepared).await?;
            protocol.julee_action_protocol_api().call_validate_config(store, &config).await
        });
        let answer = answer.await;
        answer.map_err(|ended| outcome::error(&ended, "validate-config", invocation.state(), &PURE_CALL_LIMITS))
    }

    /// An instance-to-be with a closed gate and little of everything.
    fn pure(&self, journal: Arc<Journal>) -> Result<Invocation, ExecutionError> {
        self.reaching_nothing(&PURE_CALL_LIMITS, journal)
    }

    /// The same within these limits.
    pub(crate) fn reaching_nothing(
        &self,
        limits: &Limits,
        journal: Arc<Journal>,
    ) -> Result<Invocation, ExecutionError> {
        let gate = Arc::new(Gate::new(Arc::new(Egress::default()), journal, &self.outside, self.clock.clone(), None));
        Invocation::new(&self.engine, gate, self.pool.clone(), limits, Instant::now())
            .map_err(|error| WasmRuntime::broken(&error))
    }
}

/// Who signed it and what it is, with everything that is wrong. What nobody who is trusted has signed
/// is not compiled, and nothing of it runs.
pub(crate) fn look_at(bytes: &[u8], trusted: &[PublicKey]) -> Result<Inspected, Vec<Issue>> {
    let unsigned = if trusted.is_empty() { None } else { signature::check(bytes, trusted) };
    let inspected = inspect::inspect(bytes);
    let Some(unsigned) = unsigned else { return inspected };
    Err(std::iter::once(unsigned).chain(inspected.err().into_iter().flatten()).collect())
}

fn raw(descriptor: model::Descriptor) -> RawDescriptor {
    RawDescriptor {
        name: descriptor.name,
        version: descriptor.version,
        summary: descriptor.summary,
        documentation: descriptor.documentation,
        config_schema: descriptor.config_schema,
        input_schema: descriptor.input_schema,
        output_schema: descriptor.output_schema,
        examples: descriptor
            .examples
            .into_iter()
            .map(|example| RawExample { name: example.name, config: example.config })
            .collect(),
        test_methods: descriptor.test_methods,
    }
}
