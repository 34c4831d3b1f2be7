//! Says everything that is wrong with a config, and what its repeats can do.
//!
//! What the types already refuse (a name that is not known, a status that is none) does not
//! come here.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use action_protocol::config;
use action_protocol::http::is_token;
use action_protocol::http::url::Url;
use action_protocol::template::{Scalar, Template, Values, below, is_template};
use action_protocol::{Accepted, Effect, Issue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::{Auth, Body, Config, Idempotency, REDIRECTS_MAX};
use crate::request::is_header_value;

/// Headers that the service writes: they frame the message, or name the host that was checked.
const SERVICE_HEADERS: [&str; 8] =
    ["connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What is wrong with a config, or its effect and what is odd about it.
pub fn validate(config: &Config) -> Result<Accepted, Vec<Issue>> {
    let mut found = Findings::default();
    found.url(&config.url);
    found.method(&config.method);
    found.headers(config);
    for (name, values) in &config.query {
        found.values(values, &below("/query", name), false);
    }
    found.body(config);
    found.auth(config);
    found.redirects(config);
    found.rest(config);
    if let Some(poll) = &config.poll {
        crate::poll::check(&mut found, config, poll);
    }
    found.0.finish(effect(config))
}

/// What a repeat can do: as the config says, else by the method (RFC 9110, 9.2).
pub fn effect(config: &Config) -> Effect {
    if let Some(word) = config.effect {
        return word.into();
    }
    match config.method.as_str() {
        _ if config.method_reads() => Effect::Read,
        "PUT" | "DELETE" => Effect::Idempotent,
        _ if config.idempotency == Idempotency::Keyed => Effect::Keyed,
        _ => Effect::Unsafe,
    }
}

/// What is found, and where in this config to look for it.
#[derive(Default)]
struct Findings(config::Findings);

impl Deref for Findings {
    type Target = config::Findings;

    fn deref(&self) -> &config::Findings {
        &self.0
    }
}

impl DerefMut for Findings {
    fn deref_mut(&mut self) -> &mut config::Findings {
        &mut self.0
    }
}

impl Findings {
    fn url(&mut self, url: &str) {
        let Ok(template) = Template::parse(url) else { return self.template(url, "/url") };
        let behind_scheme = url.find("://").map_or(0, |at| at + 3);
        let authority_end = url[behind_scheme..].find(['/', '?', '#']).map(|at| behind_scheme + at);
        if url.find("{{").is_some_and(|open| authority_end.is_none_or(|end| open < end)) {
            let message = "templates may stand behind scheme, host and port only: they say what the action may reach";
            return self.issue("/url", "template_in_host", message);
        }
        // With something harmless in the place of each template it has to be a URL.
        if let Err(why) = Url::parse(&template.with_each_as("x")) {
            self.issue("/url", "invalid_url", why);
        } else if url.contains('#') {
            self.issue("/url", "fragment_in_url", "what is behind # is never sent");
        }
    }

    fn method(&mut self, method: &str) {
        let upper = method.to_ascii_uppercase();
        if !is_token(method) {
            self.issue("/method", "invalid_method", "a method is a word without blanks");
        } else if method == "CONNECT" {
            self.issue("/method", "invalid_method", "CONNECT asks for a tunnel, which is not a request");
        } else if upper != method && KNOWN_METHODS.contains(&upper.as_str()) {
            let message = format!("methods are in upper case: write {upper}");
            self.issue("/method", "invalid_method", message);
        }
    }

    fn headers(&mut self, config: &Config) {
        let mut seen = BTreeMap::new();
        for (name, values) in &config.headers {
            let pointer = below("/headers", name);
            self.header_name(name, &pointer);
            if let Some(other) = seen.insert(name.to_ascii_lowercase(), name) {
                let message = format!("it is given twice: the header {other} is the same");
                self.issue(pointer.as_str(), "duplicate_header", message);
            }
            self.values(values, &pointer, true);
        }
        self.header_name(&config.idempotency_header, "/idempotency_header");
    }

    fn header_name(&mut self, name: &str, pointer: &str) {
        if !is_token(name) {
            let message = "a header's name is a word of letters, digits and a few signs; templates cannot make it";
            self.issue(pointer, "invalid_header_name", message);
        } else if SERVICE_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            self.issue(pointer, "reserved_header", "this header is written by the service");
        }
    }

    fn values(&mut self, values: &Values, pointer: &str, in_header: bool) {
        for (n, value) in values.all().iter().enumerate() {
            let pointer = match values {
                Values::One(_) => pointer.to_owned(),
                Values::Many(_) => format!("{pointer}/{n}"),
            };
            let Scalar::Text(text) = value else { continue };
            self.template(text, &pointer);
            if in_header && !is_header_value(text) {
                self.issue(pointer, "invalid_header_value", "a header holds no control characters");
            }
        }
    }

    fn body(&mut self, config: &Config) {
        match &config.body {
            None | Some(Body::None | Body::Input) => {}
            Some(Body::Json(value)) => self.json_template(value, "/body/json"),
            Some(Body::Form(fields)) => {
                for (name, values) in fields {
                    self.values(values, &below("/body/form", name), false);
                }
            }
            Some(Body::Text(text)) => self.template(text, "/body/text"),
            Some(Body::Base64(text)) if is_template(text) => self.template(text, "/body/base64"),
            Some(Body::Base64(text)) => {
                if let Err(error) = STANDARD.decode(text.trim()) {
                    self.issue("/body/base64", "invalid_base64", error.to_string());
                }
            }
        }
        let has_body = !matches!(config.body, None | Some(Body::None));
        if has_body && matches!(config.method.as_str(), "GET" | "HEAD" | "TRACE") {
            let message = "many remotes ignore or refuse a body with this method";
            self.warn("/body", "body_without_meaning", message);
        }
    }

    fn auth(&mut self, config: &Config) {
        let Some(auth) = &config.auth else { return };
        if let Some(name) = config.headers.keys().find(|name| name.eq_ignore_ascii_case("authorization")) {
            let message = "auth writes this header too: leave one of the two out";
            self.issue(below("/headers", name), "conflict", message);
        }
        let texts = match auth {
            Auth::Basic(basic) => {
                if basic.username.contains(':') {
                    let message = "a user name with a colon cannot be told from the password";
                    self.issue("/auth/basic/username", "invalid_username", message);
                }
                vec![("/auth/basic/username", basic.username.as_str()), ("/auth/basic/password", &*basic.password)]
            }
            Auth::Bearer(bearer) => {
                if bearer.token.is_empty() {
                    self.issue("/auth/bearer/token", "empty", "there is no token");
                }
                vec![("/auth/bearer/token", &*bearer.token)]
            }
        };
        for (pointer, text) in texts {
            if !is_header_value(text) {
                self.issue(pointer, "invalid_header_value", "a header holds no control characters");
            }
        }
        if !config.url.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("https:")) {
            self.warn("/url", "credentials_in_clear", "without https everybody on the way can read the credentials");
        }
    }

    fn redirects(&mut self, config: &Config) {
        for (n, url) in config.redirect_urls.iter().enumerate() {
            let pointer = format!("/redirect_urls/{n}");
            if is_template(url) {
                self.issue(pointer, "template_in_host", "what the action may reach is no template");
            } else if let Err(why) = Url::parse(url) {
                self.issue(pointer, "invalid_url", why);
            }
        }
        if !config.redirect_urls.is_empty() && config.redirects_max() == 0 {
            let message = "no redirects are followed with this method: set max_redirects";
            self.warn("/redirect_urls", "unused", message);
        }
    }

    fn rest(&mut self, config: &Config) {
        if config.expect.is_empty() {
            self.issue("/expect", "empty", "no status would be a success");
        }
        for (n, rule) in config.failures.iter().enumerate() {
            if rule.status.is_empty() {
                self.issue(format!("/failures/{n}/status"), "empty", "the rule fits no status");
            }
        }
        self.timeout_ms(config.timeout_ms, "/timeout_ms");
        if config.max_redirects.is_some_and(|hops| hops > REDIRECTS_MAX) {
            let message = format!("at most {REDIRECTS_MAX} redirects are followed");
            self.issue("/max_redirects", "out_of_range", message);
        }
        if let Some(path) = &config.test.path {
            let is_path = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic());
            if !is_path || path.contains('#') || is_template(path) {
                let message = "the path begins with / and holds no blanks, templates or fragment";
                self.issue("/test/path", "invalid_path", message);
            }
        }
        if config.effect.is_some() && config.idempotency == Idempotency::Keyed {
            self.issue(
                "/effect",
                "conflict",
                "with idempotency \"keyed\" the effect is keyed: leave one of the two out",
            );
        }
    }
}
