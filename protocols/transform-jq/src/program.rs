//! An expression: compiled, with every mistake and its place, and run.

use crate::{definitions, json};
use jaq_core::{
    Compiler, Ctx, Filter, Vars, data,
    load::{self, Arena, File, Loader},
    unwrap_valr,
};
use jaq_json::{Val, read};

type Data = data::JustLut<Val>;

/// What is wrong with an expression or went wrong with it, and where in it, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) offset: Option<u32>,
    pub(crate) message: String,
}

impl Mistake {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { offset: None, message: message.into() }
    }

    /// At `part` of the expression.
    fn at(expression: &str, part: &str, message: String) -> Self {
        let start = load::span(expression, part).start;
        // What is empty may be no part of the expression: then it is its end.
        let start = if start <= expression.len() { start } else { expression.len() };
        Self { offset: u32::try_from(start).ok(), message }
    }
}

/// Compiles an expression that may name these variables.
pub(crate) fn compile<'v>(
    expression: &str,
    variables: impl IntoIterator<Item = &'v str>,
) -> Result<Filter<Data>, Vec<Mistake>> {
    let variables: Vec<String> = variables.into_iter().map(|name| format!("${name}")).collect();
    let natives = jaq_core::funs::<Data>().chain(jaq_std::funs::<Data>()).chain(jaq_json::funs::<Data>());
    let arena = Arena::default();
    let modules =
        Loader::new(definitions::reached(expression)).load(&arena, File { code: expression, path: () }).map_err(
            |errors| errors.into_iter().flat_map(|(_, error)| unreadable(expression, error)).collect::<Vec<_>>(),
        )?;
    Compiler::default()
        .with_funs(natives)
        .with_global_vars(variables.iter().map(String::as_str))
        .compile(modules)
        .map_err(|errors| {
            let undefined = errors.into_iter().flat_map(|(_, undefined)| undefined);
            undefined
                .map(|(name, what)| {
                    Mistake::at(expression, name, format!("there is no {} `{name}`{}", what.as_str(), arity(&what)))
                })
                .collect()
        })
}

fn arity(what: &jaq_core::compile::Undefined) -> String {
    match what {
        jaq_core::compile::Undefined::Filter(0) => " without arguments".to_owned(),
        jaq_core::compile::Undefined::Filter(1) => " with 1 argument".to_owned(),
        jaq_core::compile::Undefined::Filter(arguments) => format!(" with {arguments} arguments"),
        _ => String::new(),
    }
}

fn unreadable(expression: &str, error: load::Error<&str>) -> Vec<Mistake> {
    match error {
        load::Error::Io(files) => files
            .into_iter()
            .map(|(part, _)| Mistake::at(expression, part, "there are no modules to include or import".to_owned()))
            .collect(),
        load::Error::Lex(errors) => {
            errors.into_iter().map(|(wanted, found)| misplaced(expression, wanted.as_str(), found)).collect()
        }
        load::Error::Parse(errors) => {
            errors.into_iter().map(|(wanted, found)| misplaced(expression, wanted.as_str(), found)).collect()
        }
    }
}

fn misplaced(expression: &str, wanted: &str, found: &str) -> Mistake {
    const FOUND_CHARS_MAX: usize = 20;
    if found.is_empty() {
        return Mistake::at(expression, &expression[expression.len()..], format!("expected {wanted}, found the end"));
    }
    let told: String = found.chars().take(FOUND_CHARS_MAX).collect();
    let more = if told.len() < found.len() { "…" } else { "" };
    Mistake::at(expression, found, format!("expected {wanted}, found `{told}{more}`"))
}

/// Runs an expression over a value, with variables that are the members of an object. It gives
/// exactly one value.
pub(crate) fn run(expression: &str, input: Val, variables: &str) -> Result<Vec<u8>, Mistake> {
    let variables =
        read::parse_single(variables.as_bytes()).map_err(|error| Mistake::new(format!("variables: {error}")))?;
    let (names, values) = members(&variables)?;
    let filter = compile(expression, names.iter().map(String::as_str)).map_err(|mistakes| {
        mistakes.into_iter().next().unwrap_or_else(|| Mistake::new("the expression is not valid"))
    })?;
    let context = Ctx::<Data>::new(&filter.lut, Vars::new(values));
    let mut outputs = filter.id.run((context, input)).map(unwrap_valr);
    let output = match outputs.next() {
        None => {
            return Err(Mistake::new("it gives no value, and exactly one is needed; `[…]` makes one of any number"));
        }
        Some(output) => output.map_err(|error| Mistake::new(error.to_string()))?,
    };
    match outputs.next() {
        None => json::write(&output).map_err(Mistake::new),
        Some(_) => {
            Err(Mistake::new("it gives more than one value, and exactly one is needed; `[…]` makes one of them"))
        }
    }
}

fn members(variables: &Val) -> Result<(Vec<String>, Vec<Val>), Mistake> {
    let Val::Obj(members) = variables else { return Err(Mistake::new("variables: not an object")) };
    let name = |key: &Val| match key {
        Val::TStr(text) => Ok(String::from_utf8_lossy(text).into_owned()),
        _ => Err(Mistake::new("variables: a name is no text")),
    };
    members.iter().map(|(key, value)| Ok((name(key)?, value.clone()))).collect()
}
