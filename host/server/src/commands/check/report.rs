//! What the checker found: a line for each rule, for people and for programs.

use crate::output::{Colour, Output, one_line};
use serde::Serialize;

/// What a component is checked for. The names are stable; the order is that of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Rule {
    Component,
    Describe,
    Deterministic,
    Pure,
    Descriptor,
    Schema,
    Examples,
    BrokenConfigs,
    OddConfigs,
    ConnectionTest,
    Egress,
    Execute,
    OddInputs,
    RemoteTrouble,
    Secrets,
    Redirects,
    Deadline,
    Cancellation,
    Reconcile,
    Cost,
}

impl Rule {
    /// All of them.
    pub(super) const ALL: [Self; 20] = [
        Self::Component,
        Self::Describe,
        Self::Deterministic,
        Self::Pure,
        Self::Descriptor,
        Self::Schema,
        Self::Examples,
        Self::BrokenConfigs,
        Self::OddConfigs,
        Self::ConnectionTest,
        Self::Egress,
        Self::Execute,
        Self::OddInputs,
        Self::RemoteTrouble,
        Self::Secrets,
        Self::Redirects,
        Self::Deadline,
        Self::Cancellation,
        Self::Reconcile,
        Self::Cost,
    ];

    /// Its stable name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Describe => "describe",
            Self::Deterministic => "deterministic",
            Self::Pure => "pure",
            Self::Descriptor => "descriptor",
            Self::Schema => "schema",
            Self::Examples => "examples",
            Self::BrokenConfigs => "broken-configs",
            Self::OddConfigs => "odd-configs",
            Self::ConnectionTest => "connection-test",
            Self::Egress => "egress",
            Self::Execute => "execute",
            Self::OddInputs => "odd-inputs",
            Self::RemoteTrouble => "remote-trouble",
            Self::Secrets => "secrets",
            Self::Redirects => "redirects",
            Self::Deadline => "deadline",
            Self::Cancellation => "cancellation",
            Self::Reconcile => "reconcile",
            Self::Cost => "cost",
        }
    }

    /// What to do where it is broken or doubtful.
    const fn advice(self) -> &'static str {
        match self {
            Self::Component => "build for the world action-protocol of wit/v0.1, with WASI 0.2 and nothing else",
            Self::Describe => "describe returns constants: no panic, no loop, no exit",
            Self::Deterministic => "describe must not depend on the time, on chance or on what was called before",
            Self::Pure => "reach the outside in test-connection and execute only",
            Self::Descriptor => "correct what describe returns; the pointers lead into it",
            Self::Schema => "correct the config schema; where it is made of types, correct those",
            Self::Examples => "correct the example, or validate-config",
            Self::BrokenConfigs => {
                "validate-config returns issues, each with a JSON Pointer to the mistake, and never panics"
            }
            Self::OddConfigs => "accept it or return an issue; where it can never be right, let the schema say so",
            Self::ConnectionTest => {
                "test-connection contacts the remote, and declares methods beside GET, HEAD and OPTIONS in test-methods"
            }
            Self::Egress => "annotate the property that names the host with x-egress, or document the grant",
            Self::Execute => {
                "return what the output schema says, or a failure; accept what changes something as more than `read`"
            }
            Self::OddInputs => "return a failure of the kind invalid-input; never panic on an input",
            Self::RemoteTrouble => "return a failure that says what happened, for whatever the remote does",
            Self::Secrets => "put secrets where they belong in a request and nowhere else, or leave them handles",
            Self::Redirects => "send no secret to where a redirect leads",
            Self::Deadline => "wait with a timeout, and fail with unavailable or in-doubt when nobody answers",
            Self::Cancellation => "this is the host's duty: please report it",
            Self::Reconcile => "reconcile asks the remote and answers unknown where it cannot tell",
            Self::Cost => "leave out what is not needed; for Rust: opt-level s, lto, one codegen unit, strip",
        }
    }
}

/// How it stands with a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Standing {
    /// It is kept, as far as the message says.
    Ok,
    /// Nothing could be said about it.
    NotChecked,
    /// It may be meant like that.
    Warning,
    /// It is broken.
    Failed,
}

impl Standing {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotChecked => "not checked",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }

    const fn colour(self) -> Colour {
        match self {
            Self::Ok => Colour::Green,
            Self::NotChecked => Colour::Dim,
            Self::Warning => Colour::Yellow,
            Self::Failed => Colour::Red,
        }
    }
}

/// What was found about a rule.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    pub(super) rule: Rule,
    pub(super) standing: Standing,
    /// What was done, and what that showed.
    pub(super) message: String,
    /// Each thing that is wrong or doubtful.
    pub(super) problems: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

/// Most problems that one rule tells: the hundredth says nothing that the first did not.
const PROBLEMS_MAX: usize = 8;

/// Gathers what is found about one rule.
#[derive(Debug, Default)]
pub(super) struct Problems {
    failed: Vec<String>,
    doubtful: Vec<String>,
}

impl Problems {
    /// The rule is broken.
    pub(super) fn fail(&mut self, problem: impl Into<String>) {
        add(&mut self.failed, problem.into());
    }

    /// It may be broken, and it may be meant like that.
    pub(super) fn warn(&mut self, problem: impl Into<String>) {
        add(&mut self.doubtful, problem.into());
    }

    /// These too.
    pub(super) fn absorb(&mut self, others: Self) {
        others.failed.into_iter().for_each(|problem| self.fail(problem));
        others.doubtful.into_iter().for_each(|problem| self.warn(problem));
    }

    /// Whether nothing was found.
    pub(super) const fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.doubtful.is_empty()
    }

    /// What was done, and what it showed where there are no problems.
    pub(super) fn finding(self, rule: Rule, done: &str, well: &str) -> Finding {
        let message = match (self.is_empty() && !well.is_empty(), done) {
            (false, _) => done.to_owned(),
            (true, "") => well.to_owned(),
            (true, _) => format!("{done}: {well}"),
        };
        let standing = match (self.failed.is_empty(), self.doubtful.is_empty()) {
            (false, _) => Standing::Failed,
            (true, false) => Standing::Warning,
            (true, true) => Standing::Ok,
        };
        let problems: Vec<String> = self.failed.into_iter().chain(self.doubtful).collect();
        let advice = (standing != Standing::Ok).then(|| rule.advice());
        Finding { rule, standing, message, problems, advice }
    }
}

fn add(list: &mut Vec<String>, problem: String) {
    if !list.contains(&problem) {
        list.push(problem);
    }
}

/// Nothing can be said about a rule, and why.
pub(super) fn not_checked(rule: Rule, why: impl Into<String>) -> Finding {
    Finding { rule, standing: Standing::NotChecked, message: why.into(), problems: Vec::new(), advice: None }
}

/// What a component costs.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Measured {
    pub(super) component_bytes: u64,
    /// Looking at it, compiling it and asking it what it is.
    pub(super) admission_ms: u64,
    /// A fresh instance and one call of `validate-config`; the median of several.
    pub(super) start_us: u64,
    /// Of one execution.
    pub(super) fuel: u64,
    /// Of one execution.
    pub(super) memory_bytes: u64,
}

/// All that was found about a component.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) file: String,
    pub(super) digest: String,
    /// Name and version, where it has proper ones.
    pub(super) protocol: Option<String>,
    pub(super) passed: bool,
    pub(super) rules: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) measured: Option<Measured>,
}

impl Report {
    /// How many rules stand like this.
    pub(super) fn count(&self, standing: Standing) -> usize {
        self.rules.iter().filter(|finding| finding.standing == standing).count()
    }

    /// For people: a line for each rule, and below it what is wrong and what to do.
    pub(super) fn show(&self, output: Output) -> std::io::Result<()> {
        let name = self.protocol.as_deref().unwrap_or("no protocol");
        Output::line(&format!("{}  {}  {}", one_line(&self.file), one_line(name), self.digest))?;
        // What several rules have in common is said once.
        let alike = |one: &Finding, other: &Finding| {
            one.standing == Standing::NotChecked && other.standing == one.standing && other.message == one.message
        };
        for group in self.rules.chunk_by(alike) {
            show_group(group, output)?;
        }
        let counts = [Standing::Ok, Standing::Warning, Standing::Failed, Standing::NotChecked]
            .map(|standing| format!("{} {}", self.count(standing), standing.word()));
        let (colour, verdict) = if self.passed { (Colour::Green, "passed") } else { (Colour::Red, "did not pass") };
        Output::line(&format!("{}: {}", output.paint(colour, verdict), counts.join(", ")))
    }
}

/// One rule, or several about which the same is to be said.
fn show_group(group: &[Finding], output: Output) -> std::io::Result<()> {
    let [finding, others @ ..] = group else { return Ok(()) };
    let word = output.paint(finding.standing.colour(), &format!("{:11}", finding.standing.word()));
    let message = one_line(&finding.message);
    if !others.is_empty() {
        let names: Vec<&str> = group.iter().map(|finding| finding.rule.name()).collect();
        let rules = format!("{} rules", group.len());
        return Output::line(&format!("{word}  {rules:15}  {message}: {}", names.join(", ")));
    }
    Output::line(&format!("{word}  {:15}  {message}", finding.rule.name()))?;
    let indent = " ".repeat(30);
    for problem in finding.problems.iter().take(PROBLEMS_MAX) {
        Output::line(&format!("{indent}- {}", one_line(problem)))?;
    }
    let more = finding.problems.len().saturating_sub(PROBLEMS_MAX);
    if more > 0 {
        Output::line(&format!("{indent}- and {more} more; --json has all of them"))?;
    }
    match finding.advice {
        Some(advice) => Output::line(&format!("{indent}{}", output.paint(Colour::Dim, advice))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_listed_once_under_the_name_that_programs_see() {
        let mut names: Vec<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        for (rule, name) in Rule::ALL.iter().zip(&names) {
            assert_eq!(serde_json::to_value(rule).unwrap(), *name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
    }

    #[test]
    fn the_worst_problem_decides() {
        let mut problems = Problems::default();
        problems.warn("odd");
        problems.warn("odd");
        assert_eq!(problems.finding(Rule::Schema, "looked", "fine").standing, Standing::Warning);
        let mut problems = Problems::default();
        problems.warn("odd");
        problems.fail("wrong");
        let finding = problems.finding(Rule::Schema, "looked", "fine");
        assert_eq!((finding.standing, finding.problems), (Standing::Failed, vec!["wrong".into(), "odd".into()]));
        assert_eq!(Problems::default().finding(Rule::Schema, "looked", "fine").message, "looked: fine");
    }
}
