//! What was set, wherever it was set: the environment above the file of `--config`.
//!
//! Names are checked here, values in [`super::settings`]: a mistyped name never passes for
//! something that was not set.

use super::{
    SettingsError,
    names::{self, Kind},
};
use std::{collections::BTreeMap, ffi::OsString, path::Path};

/// Everything that was set, by name.
#[derive(Debug, Default, Clone)]
pub(crate) struct Sources {
    values: BTreeMap<&'static str, Given>,
}

/// One value.
#[derive(Debug, Clone)]
struct Given {
    value: String,
    /// The environment, or the file's name.
    from: String,
}

impl Sources {
    /// From this process's environment, and a file if there is one.
    ///
    /// # Errors
    /// Every name that nobody knows, every value that is no text.
    pub(crate) fn load(file: Option<&Path>) -> Result<Self, SettingsError> {
        let text = match file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| SettingsError::one(format!("{}: {error}", path.display())))?;
                Some((path.display().to_string(), text))
            }
            None => None,
        };
        Self::collect(text.as_ref().map(|(name, text)| (name.as_str(), text.as_str())), std::env::vars_os())
    }

    /// From a file's name and text, and an environment.
    ///
    /// # Errors
    /// See [`Self::load`].
    pub(crate) fn collect(
        file: Option<(&str, &str)>,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let mut sources = Self::default();
        let mut problems = Vec::new();
        if let Some((name, text)) = file {
            sources.read_file(name, text, &mut problems);
        }
        sources.read_environment(environment, &mut problems);
        if problems.is_empty() { Ok(sources) } else { Err(SettingsError::new(problems)) }
    }

    fn read_file(&mut self, file: &str, text: &str, problems: &mut Vec<String>) {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            // Its own text repeats the line, which may hold a password.
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                return problems.push(format!("{file}, line {line}: {}", error.message()));
            }
        };
        for (name, value) in table {
            let Some((known, kind)) = names::find(&name) else {
                problems.push(unknown(&name, file));
                continue;
            };
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                other => {
                    problems
                        .push(format!("{name} (in {file}): a text or a number is needed, not {}", other.type_str()));
                    continue;
                }
            };
            match kind {
                Kind::Build => {
                    problems.push(format!("{name} (in {file}) is read by the build only, not by the service"));
                }
                Kind::Setting | Kind::Later(_) => self.set(known, value, file),
            }
        }
    }

    fn read_environment(
        &mut self,
        environment: impl Iterator<Item = (OsString, OsString)>,
        problems: &mut Vec<String>,
    ) {
        const PLACE: &str = "the environment";
        let environment: Vec<(OsString, OsString)> = environment.collect();
        let in_kubernetes = environment.iter().any(|(name, _)| name == "KUBERNETES_SERVICE_HOST");
        for (name, value) in environment {
            // A name that is no text is none of ours.
            let Some(name) = name.to_str() else { continue };
            match names::find(name) {
                Some((_, Kind::Build)) => {}
                Some((known, Kind::Setting | Kind::Later(_))) => match value.into_string() {
                    Ok(value) => self.set(known, value, PLACE),
                    Err(_) => problems.push(format!("{name} (in {PLACE}) is not UTF-8")),
                },
                None if !name.starts_with(names::PREFIX) => {}
                None if in_kubernetes && names::is_service_link(name) => {}
                None => problems.push(unknown(name, PLACE)),
            }
        }
    }

    /// An empty value is none: compose files and shells pass what is not set on as that.
    fn set(&mut self, name: &'static str, value: String, from: &str) {
        if value.is_empty() {
            self.values.remove(name);
        } else {
            self.values.insert(name, Given { value, from: from.to_owned() });
        }
    }

    /// The value of a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|given| given.value.as_str())
    }

    /// The name together with where it was set, for a message.
    pub(crate) fn place(&self, name: &str) -> String {
        self.values.get(name).map_or_else(|| name.to_owned(), |given| format!("{name} (in {})", given.from))
    }

    /// Names that this release knows and cannot serve, with the reason.
    pub(crate) fn not_available(&self) -> impl Iterator<Item = String> {
        self.values.keys().filter_map(|name| match names::find(name) {
            Some((_, Kind::Later(what))) => Some(format!("{}: {what} not available in this release", self.place(name))),
            _ => None,
        })
    }
}

fn unknown(name: &str, place: &str) -> String {
    let hint = names::nearest(name).map(|nearest| format!("; {nearest} may be meant")).unwrap_or_default();
    format!("{name} (in {place}) is not known{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (OsString, OsString)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_environment_is_above_the_file() {
        let file = "ACTION_SERVICE_CONCURRENCY = 8\nACTION_SERVICE_LOG = 'debug'\n";
        let sources =
            Sources::collect(Some(("s.toml", file)), env(&[("ACTION_SERVICE_LOG", "warn"), ("PATH", "/bin")])).unwrap();
        assert_eq!(sources.get(names::CONCURRENCY), Some("8"));
        assert_eq!(sources.get(names::LOG), Some("warn"));
        assert_eq!(sources.place(names::CONCURRENCY), "ACTION_SERVICE_CONCURRENCY (in s.toml)");
    }

    #[test]
    fn unknown_names_are_refused_in_both_places_and_all_at_once() {
        let file = "ACTION_SERVICE_DATADIR = 'x'\nlog = 'debug'\n";
        let error = Sources::collect(Some(("s.toml", file)), env(&[("ACTION_SERVICE_CONCURENCY", "1")])).unwrap_err();
        let text = error.to_string();
        for part in [
            "ACTION_SERVICE_DATADIR (in s.toml) is not known; ACTION_SERVICE_DATA_DIR may be meant",
            "log (in s.toml) is not known",
            "ACTION_SERVICE_CONCURENCY (in the environment) is not known; ACTION_SERVICE_CONCURRENCY may \
             be meant",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let links = [
            ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
            ("ACTION_SERVICE_PORT", "tcp://10.0.0.2:8080"),
            ("ACTION_SERVICE_PORT_8080_TCP_ADDR", "10.0.0.2"),
            ("ACTION_SERVICE_PROTOCOLS_DIR", "/x"),
            ("ACTION_SERVICE_LOG", ""),
        ];
        let sources = Sources::collect(None, env(&links)).unwrap();
        assert!(sources.get(names::LOG).is_none());
        assert!(Sources::collect(None, env(&links[1..2])).is_err(), "outside Kubernetes it is a mistake");
    }

    #[test]
    fn a_broken_file_is_told_without_what_is_in_it() {
        let text = "ACTION_SERVICE_LOG = 'debug'\nACTION_SERVICE_DATABASE_URL = postgres://u:hunter2@h/d\n";
        let error = Sources::collect(Some(("s.toml", text)), env(&[])).unwrap_err().to_string();
        assert!(error.starts_with("s.toml, line 2: ") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_file_holds_texts_and_numbers() {
        let error = Sources::collect(Some(("s.toml", "ACTION_SERVICE_LOG = true")), env(&[])).unwrap_err();
        assert!(error.to_string().contains("ACTION_SERVICE_LOG"), "{error}");
    }
}
