//! What an action may reach, and what it wanted to reach.

use crate::wire::action::Grants;
use action_domain::{
    egress::{Denial, DenialReason, Egress, EgressPolicy, Host, Outlook, Rule, Wanted},
    limits::OBSERVED_EXECUTIONS_MAX,
};
use action_engine::ObservedEgress;
use serde::Serialize;
use utoipa::ToSchema;

/// What somebody asks about.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether for an HTTP request without TLS.
    pub(crate) plain: bool,
}

/// What an action may reach.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Egress)]
pub(crate) struct EgressBody<'a> {
    /// Any of them lets a connection pass, unless somebody forbids it; nothing else does.
    rules: Vec<RuleBody<'a>>,
    /// The operator's word above all actions.
    operator: OperatorBody,
    /// Private, loopback and link-local addresses.
    private_networks: PrivateNetworks,
    /// For the target that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    answer: Option<AnswerBody>,
}

/// A host that may be reached.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EgressRule)]
struct RuleBody<'a> {
    /// A host name, an address, or `*.` and a name for all names below it.
    host: String,
    /// Its ports; empty for all.
    ports: &'a [u16],
    /// Whether an HTTP request has to be HTTPS, since the value of the config says `https`; left out where not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    https_only: bool,
    /// `config` for a value that the protocol's schema annotates with `x-egress`, `grants` for `grants.egress`.
    #[schema(example = "config")]
    origin: &'static str,
    /// JSON Pointer into the action, to where the rule was given.
    #[schema(example = "/config/url")]
    from: &'a str,
    /// Why it lets nothing through all the same, where that is known before a name is resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    forbidden: Option<ForbiddenBody>,
}

/// The operator's word above all actions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EgressOperator)]
struct OperatorBody {
    /// `ACTION_SERVICE_EGRESS_ALLOW`: where it is not empty, nothing else is reached.
    allow: Vec<String>,
    /// `ACTION_SERVICE_EGRESS_DENY`: never reached.
    deny: Vec<String>,
}

/// Two keys for private networks.
#[derive(Debug, Serialize, ToSchema)]
struct PrivateNetworks {
    /// Whether the action asks for them.
    requested: bool,
    /// Whether the operator allows them to actions that ask.
    allowed_by_operator: bool,
    /// Whether they may be reached: both.
    reachable: bool,
}

/// Whether one target may be reached.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EgressAnswer)]
struct AnswerBody {
    /// In its plain form: `0x7f.1` is `127.0.0.1`.
    host: String,
    port: u16,
    /// Whether a connection may be tried.
    allowed: bool,
    /// Whether that is the last word. A name is allowed as a name; what it is resolved to is looked at then.
    r#final: bool,
    /// JSON Pointer to the rule that lets it pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    by: Option<String>,
    /// The operator's entry that allows it, where there is a list of what is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    operator: Option<String>,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    forbidden: Option<ForbiddenBody>,
}

/// Why something is not reached.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EgressForbidden)]
struct ForbiddenBody {
    /// Stable word: `invalid_host`, `not_granted`, `https_only`, `private_not_requested`, `private_not_allowed`,
    /// `denied_by_operator`, `not_allowed_by_operator`, `never_reached` or `other`.
    #[schema(value_type = String, example = "not_granted")]
    reason: DenialReason,
    /// The rule that forbids it, for people.
    rule: String,
    /// What to change if it should be allowed.
    hint: String,
}

impl From<Denial> for ForbiddenBody {
    fn from(Denial { reason, rule, hint, .. }: Denial) -> Self {
        Self { reason, rule, hint }
    }
}

impl<'a> EgressBody<'a> {
    /// The rules, and whether `target` may be reached.
    pub(crate) fn new(egress: &'a Egress, policy: &'a EgressPolicy, target: Option<&Target>) -> Self {
        let rule = |rule: &'a Rule| RuleBody {
            host: rule.host.to_string(),
            ports: &rule.ports,
            https_only: rule.https_only,
            origin: if rule.from.starts_with("/config") { "config" } else { "grants" },
            from: &rule.from,
            forbidden: egress.forbidden(rule, policy).map(ForbiddenBody::from),
        };
        let (requested, allowed_by_operator) = (egress.private_networks, policy.private_networks);
        Self {
            rules: egress.rules.iter().map(rule).collect(),
            operator: OperatorBody {
                allow: policy.allow.iter().map(ToString::to_string).collect(),
                deny: policy.deny.iter().map(ToString::to_string).collect(),
            },
            private_networks: PrivateNetworks {
                requested,
                allowed_by_operator,
                reachable: requested && allowed_by_operator,
            },
            answer: target.map(|target| AnswerBody::new(egress, policy, target)),
        }
    }
}

impl AnswerBody {
    fn new(egress: &Egress, policy: &EgressPolicy, Target { host, port, plain }: &Target) -> Self {
        let port = *port;
        let admitted = if *plain { egress.admit_plain(host, port, policy) } else { egress.admit(host, port, policy) };
        match admitted {
            Ok(admitted) => {
                let address = match admitted.host {
                    Host::Address(address) => Some(address.to_canonical()),
                    Host::Name(_) => None,
                };
                let entry = policy.allowing(&admitted.host, address, Some(port));
                Self {
                    host: admitted.host.to_string(),
                    port,
                    allowed: true,
                    r#final: address.is_some(),
                    by: Some(admitted.by.from.clone()),
                    operator: entry.map(ToString::to_string),
                    forbidden: None,
                }
            }
            Err(denial) => Self {
                host: denial.host.clone(),
                port,
                allowed: false,
                r#final: true,
                by: None,
                operator: None,
                forbidden: Some(denial.into()),
            },
        }
    }
}

/// The smallest grants that would have let through what was denied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EgressProposal)]
pub(crate) struct ProposalBody<'a> {
    /// The action's grants with what is missing: a `PATCH` with `{"grants": …}` takes them over.
    grants: Grants,
    /// Whether they are others than the action has.
    changes: bool,
    /// Executions whose denials were looked at, the last ones.
    #[schema(maximum = 100)]
    executions: usize,
    /// Denials that were found.
    denials: usize,
    /// Each host and port that was wanted.
    wanted: Vec<WantedBody<'a>>,
}

const _: () = assert!(OBSERVED_EXECUTIONS_MAX == 100, "the document says so");

/// A host and port that were wanted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EgressWanted)]
struct WantedBody<'a> {
    host: &'a str,
    /// `null` where a name was looked up without one.
    #[schema(required = true)]
    port: Option<u16>,
    /// How often it was denied.
    denied: usize,
    /// `proposed`: the grants let it through. `granted_by_now`: nothing is missing any more. `forbidden`: no grant
    /// that is proposed lets it through.
    #[schema(example = "proposed")]
    outlook: &'static str,
    /// Who forbids it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    forbidden: Option<ForbiddenBody>,
}

impl<'a> From<&'a ObservedEgress> for ProposalBody<'a> {
    fn from(ObservedEgress { proposal, executions, denials }: &'a ObservedEgress) -> Self {
        let wanted = |Wanted { host, port, denied, outlook }: &'a Wanted| {
            let (outlook, forbidden) = match outlook {
                Outlook::Proposed => ("proposed", None),
                Outlook::GrantedByNow => ("granted_by_now", None),
                Outlook::Forbidden(denial) => ("forbidden", Some(denial.clone().into())),
            };
            WantedBody { host, port: (*port != 0).then_some(*port), denied: *denied, outlook, forbidden }
        };
        Self {
            grants: (&proposal.grants).into(),
            changes: proposal.changes,
            executions: *executions,
            denials: *denials,
            wanted: proposal.wanted.iter().map(wanted).collect(),
        }
    }
}
