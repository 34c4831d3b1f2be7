//! What sets an action off: the forms of its triggers.

use crate::wire::form;
use action_domain::{action::escape_pointer, failure::Issue, trigger};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What sets an action off. Which members there are depends on the type; `WebhookTrigger` and its kin say which.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Trigger)]
pub(crate) struct Trigger {
    /// Which kind.
    r#type: TriggerType,
    /// What the kind asks for.
    #[serde(flatten)]
    #[schema(value_type = BTreeMap<String, Value>)]
    rest: Map<String, Value>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TriggerType {
    /// Somebody calls the API. Always there; may be written for completeness.
    Call,
    /// A request to the public listener: `WebhookTrigger`.
    Webhook,
    /// A time comes: `ScheduleTrigger`.
    Schedule,
    /// An event of the service matches: `EventTrigger`.
    Event,
    /// One instance runs all the time: `ContinuousTrigger`.
    Continuous,
}

impl Trigger {
    /// In the domain's words. What cannot be said in them is an issue.
    pub(crate) fn into_domain(self, index: usize, issues: &mut Vec<Issue>) -> trigger::Trigger {
        let rest = Value::Object(self.rest);
        let mut found = Vec::new();
        let trigger = match self.r#type {
            TriggerType::Call => {
                found.extend(rest.as_object().into_iter().flat_map(Map::keys).map(|member| {
                    let message = "a call trigger has no members beside its type";
                    Issue::new(format!("/{}", escape_pointer(member)), "unknown_field", message)
                }));
                None
            }
            TriggerType::Webhook => read::<WebhookTrigger, _>(&rest, &mut found).map(trigger::Trigger::Webhook),
            TriggerType::Schedule => read::<ScheduleTrigger, _>(&rest, &mut found).map(trigger::Trigger::Schedule),
            TriggerType::Event => read::<EventTrigger, _>(&rest, &mut found).map(trigger::Trigger::Event),
            TriggerType::Continuous => {
                read::<ContinuousTrigger, _>(&rest, &mut found).map(trigger::Trigger::Continuous)
            }
        };
        issues.extend(found.into_iter().map(|issue| issue.below(&format!("/triggers/{index}"))));
        // Something harmless in its place: it is refused anyway.
        trigger.unwrap_or(trigger::Trigger::Call {})
    }
}

impl From<&trigger::Trigger> for Trigger {
    fn from(trigger: &trigger::Trigger) -> Self {
        let r#type = match trigger {
            trigger::Trigger::Call {} => TriggerType::Call,
            trigger::Trigger::Webhook(_) => TriggerType::Webhook,
            trigger::Trigger::Schedule(_) => TriggerType::Schedule,
            trigger::Trigger::Event(_) => TriggerType::Event,
            trigger::Trigger::Continuous(_) => TriggerType::Continuous,
        };
        // Plain words, numbers and texts: they always have a JSON form.
        let mut rest = match serde_json::to_value(trigger) {
            Ok(Value::Object(members)) => members,
            _ => Map::new(),
        };
        rest.remove("type");
        Self { r#type, rest }
    }
}

/// Held against the published form first, which finds every mistake, and then read.
fn read<F: ToSchema + 'static, T: DeserializeOwned>(rest: &Value, issues: &mut Vec<Issue>) -> Option<T> {
    issues.extend(form::issues::<F>(rest));
    if !issues.is_empty() {
        return None;
    }
    form::typed(rest).map_err(|issue| issues.push(issue)).ok()
}

/// A request to the public listener sets the action off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what the domain reads")]
pub(crate) struct WebhookTrigger {
    /// It listens at `/hooks/` and this: letters, digits, `-`, `_`, `.`, and `/` between them. No other action has it.
    #[schema(example = "orders")]
    path: String,
    /// How a delivery proves who sent it.
    verify: Verify,
    /// What the caller is answered: `accepted`, once the delivery is durable; `outcome`, what the protocol answers.
    #[schema(required = false, default = "accepted")]
    respond: Respond,
    /// A jq condition over the body: what it does not hold for is recorded and ignored.
    #[schema(example = ".type == \"order.paid\"")]
    filter: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Respond {
    Accepted,
    Outcome,
}

/// How a delivery proves who sent it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what the domain reads")]
struct Verify {
    /// `none`: not at all. `key`: `?key=` or `X-Webhook-Key`. `protocol`: the component verifies and answers.
    scheme: Scheme,
    /// The name of the secret that it is proved with.
    secret: Option<String>,
    /// How far the time that it was signed at may be from now, in seconds: 300 where left out.
    #[schema(minimum = 1, maximum = 86_400)]
    tolerance_s: Option<u32>,
    /// Of a key: so many deliveries and no more.
    #[schema(minimum = 1)]
    max_uses: Option<u32>,
    /// Of a key: until then.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Scheme {
    None,
    Key,
    StandardWebhooks,
    Github,
    Stripe,
    Slack,
    Protocol,
}

/// A time comes. It fires once, however many processes run.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what the domain reads")]
pub(crate) struct ScheduleTrigger {
    /// Five fields, or six with seconds first; names; `@hourly` and its kin. This or `every_ms`.
    #[schema(example = "*/5 * * * *")]
    cron: Option<String>,
    /// Every so many milliseconds, counted from `start` or else from 1970.
    #[schema(minimum = 1000)]
    every_ms: Option<u64>,
    /// IANA time zone in which `cron` is read.
    #[schema(required = false, default = "UTC", example = "Europe/Berlin")]
    timezone: String,
    /// Not before this.
    #[schema(format = DateTime)]
    start: Option<String>,
    /// Not after this.
    #[schema(format = DateTime)]
    end: Option<String>,
    /// Begins up to so much later, at random, in milliseconds: an hour at most.
    #[schema(required = false, default = 0, maximum = 3_600_000)]
    jitter_ms: u64,
    /// Fires that nobody was there for: none is made up for, the last is, or the last 100 are.
    #[schema(required = false, default = "run-once")]
    missed: Missed,
    /// While the execution of the fire before has not ended: both run, it is skipped, or it waits.
    #[schema(required = false, default = "allow")]
    overlap: Overlap,
    /// What the execution gets; `null` where left out.
    #[schema(required = false, value_type = Value)]
    input: Value,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Missed {
    Skip,
    RunOnce,
    RunAll,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Overlap {
    Allow,
    Skip,
    Queue,
}

/// An event of the service matches. All conditions hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what the domain reads")]
pub(crate) struct EventTrigger {
    /// Of one of these types.
    #[schema(example = json!(["item_captured"]))]
    types: Vec<String>,
    /// Of this action, by id or name.
    action: Option<String>,
    /// Items of this kind.
    kind: Option<String>,
    /// `action_executed` that went well, or that did not.
    success: Option<bool>,
    /// A jq condition over the event, which is a CloudEvent.
    filter: Option<String>,
}

/// One instance runs all the time, in the whole system.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "describes what the domain reads")]
pub(crate) struct ContinuousTrigger {
    /// The wait before the first restart, in milliseconds; doubled at each further one.
    #[schema(required = false, default = 1000, minimum = 10, maximum = 86_400_000)]
    initial_ms: u64,
    /// No wait is longer, in milliseconds.
    #[schema(required = false, default = 60_000, maximum = 86_400_000)]
    max_ms: u64,
}
