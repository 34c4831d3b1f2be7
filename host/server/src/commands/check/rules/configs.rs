//! What a component makes of configs: of its own examples, of broken ones and of odd ones.

use super::{Case, Finding, Problems, Rule, Subject, count, not_checked, of};
use crate::commands::check::mutate::{Mutant, mutants as mutants_of};
use action_domain::{
    egress::for_each_value,
    failure::Issue,
    secret::reference,
    services::{RuntimeError, ValidateError},
};
use serde_json::Value;

/// Whether what the author shows is accepted, and always in the same way.
pub(super) async fn examples(subject: &Subject, cases: &[Case]) -> Finding {
    let mut problems = Problems::default();
    let told: Vec<&Case> = cases.iter().filter(|case| !case.is_made).collect();
    if subject.descriptor.examples.is_empty() {
        problems.warn("there are none: people begin with an example, and much of this check does");
    }
    for case in &told {
        plain_secrets(subject, case, &mut problems);
        let (_, mut issues) = reference::references(&case.config);
        issues.extend(reference::misplaced(&subject.descriptor.config_schema, &case.config));
        let seen = subject.disguised(&case.config);
        issues.extend(subject.form.issues(&seen));
        for issue in &issues {
            problems.fail(of(case, told_issue(issue)));
        }
        if !issues.is_empty() {
            continue;
        }
        let (first, again) = (subject.validate(&seen).await.0, subject.validate(&seen).await.0);
        match (first, again) {
            (Ok(first), Ok(again)) if first.effect != again.effect || first.warnings != again.warnings => {
                problems.fail(of(case, "validate-config gives another answer when it is asked again"));
            }
            (Ok(_), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) => refusal(&error, case, &mut problems),
        }
    }
    if told.is_empty() {
        return problems.finding(Rule::Examples, "no config to try but one that was made of the schema", "");
    }
    let done = format!("{} tried, each twice", count(told.len(), "config"));
    problems.finding(Rule::Examples, &done, "accepted, in the same way")
}

fn refusal(error: &ValidateError, case: &Case, problems: &mut Problems) {
    match error {
        ValidateError::Refused(issues) if issues.is_empty() => problems.fail(of(case, "refused, without a reason")),
        ValidateError::Refused(issues) => {
            for issue in issues {
                problems.fail(of(case, format!("refused: {}", told_issue(issue))));
            }
        }
        ValidateError::Runtime(error) => problems.fail(of(case, error)),
    }
}

/// A secret as plain text in an example is what people will copy.
fn plain_secrets(subject: &Subject, case: &Case, problems: &mut Problems) {
    for_each_value(&subject.descriptor.config_schema, &case.config, |part, value, pointer| {
        // A header's value may be a secret and need not be one.
        let is_one = part.get("writeOnly") == Some(&Value::Bool(true)) && part.contains_key("description");
        if is_one && value.is_string() {
            problems
                .warn(of(case, format!("{pointer} is a secret in plain text; {{\"$secret\": …}} is the better model")));
        }
    });
}

fn told_issue(issue: &Issue) -> String {
    format!("{}: {}", if issue.pointer.is_empty() { "the config" } else { &issue.pointer }, issue.message)
}

/// Configs that the schema refuses, and odd ones that it accepts.
pub(super) async fn mutants(subject: &Subject, cases: &[Case]) -> [Finding; 2] {
    let schema = &subject.descriptor.config_schema;
    let usable = cases.iter().filter(|case| subject.form.issues(&subject.disguised(&case.config)).is_empty());
    let all: Vec<Mutant> = usable.flat_map(|case| mutants_of(schema, &subject.disguised(&case.config))).collect();
    if all.is_empty() {
        let why = "there is no config that its schema accepts; --config gives one";
        return [not_checked(Rule::BrokenConfigs, why), not_checked(Rule::OddConfigs, why)];
    }
    let (broken, odd): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|mutant| !subject.form.issues(&mutant.config).is_empty());
    let (mut of_broken, mut of_odd) = (Problems::default(), Problems::default());
    let taken = try_all(subject, &broken, &mut of_broken).await;
    let fine = try_all(subject, &odd, &mut of_odd).await.accepted;
    let refused = broken.len() - taken.accepted;
    if refused > 0 && taken.pointed == 0 {
        of_broken.warn("no issue points into the config: nobody sees in a form which field is meant");
    }
    // A component may count on its schema, which the service asks first: accepting is no fault.
    let told = format!("{} that the schema refuses", count(broken.len(), "config"));
    let Tally { accepted, pointed } = taken;
    let well =
        format!("{refused} refused by the protocol too, {pointed} of them with a place in it; {accepted} accepted");
    let told_odd = format!("{} that the schema accepts", count(odd.len(), "odd config"));
    let well_odd = format!("{fine} accepted by the protocol too, {} refused", odd.len() - fine);
    [of_broken.finding(Rule::BrokenConfigs, &told, &well), of_odd.finding(Rule::OddConfigs, &told_odd, &well_odd)]
}

/// What the component makes of configs.
#[derive(Default)]
struct Tally {
    accepted: usize,
    /// Refused, with an issue that says more than that it is about the config.
    pointed: usize,
}

async fn try_all(subject: &Subject, mutants: &[Mutant], problems: &mut Problems) -> Tally {
    let mut tally = Tally::default();
    for Mutant { config, change } in mutants {
        match subject.validate(config).await.0 {
            Ok(_) => tally.accepted += 1,
            Err(ValidateError::Refused(issues)) => {
                if issues.is_empty() {
                    problems.fail(format!("{change}: refused, without a reason"));
                }
                tally.pointed += usize::from(issues.iter().any(|issue| !issue.pointer.is_empty()));
                for issue in issues.iter().filter(|issue| !leads_into(config, &issue.pointer)) {
                    problems.fail(format!("{change}: the pointer `{}` leads nowhere in the config", issue.pointer));
                }
            }
            Err(ValidateError::Runtime(RuntimeError::Broken(error))) => {
                problems.fail(format!("{change}: {}", error.message));
            }
            Err(ValidateError::Runtime(error)) => problems.fail(format!("{change}: {error}")),
        }
    }
    tally
}

/// Whether a pointer leads to a value, or to a member that is missing from an object. Of what is no
/// object at all, any member may be missed.
fn leads_into(config: &Value, pointer: &str) -> bool {
    config.pointer(pointer).is_some()
        || !config.is_object() && pointer.starts_with('/')
        || pointer.rsplit_once('/').is_some_and(|(parent, _)| config.pointer(parent).is_some_and(Value::is_object))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pointer_leads_to_what_is_there_or_is_missing() {
        let config = json!({"a": {"b/c": [1]}});
        for (pointer, leads) in [
            ("", true),
            ("/a", true),
            ("/a/b~1c/0", true),
            ("/a/missing", true),
            ("/missing", true),
            ("/a/b~1c/1", false),
            ("/missing/below", false),
            ("a", false),
        ] {
            assert_eq!(leads_into(&config, pointer), leads, "{pointer}");
        }
        assert!(leads_into(&json!(null), "/a") && !leads_into(&json!(null), "a"));
    }
}
