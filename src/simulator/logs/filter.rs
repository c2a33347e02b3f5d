//! `$filter` of logs and reports: comparisons, functions, lambdas, and/or/not over JSON bodies; and the span of time that a filter admits.
//! Pure: knows no store and no HTTP.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::simulator::tokens::{Token, tokens};

/// What a filter compares with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(i64),
    Bool(bool),
    Null,
    Time(Timestamp),
}

/// A filter, read. Paths within a lambda are relative to its element; the empty path is the element.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Clause {
    All(Vec<Clause>),
    Some(Vec<Clause>),
    Not(Box<Clause>),
    Compare(String, &'static str, Literal),
    Function(&'static str, String, String),
    Element(String, Box<Clause>),
}

/// Operators that a property takes, as bits.
pub(super) type Operators = u8;
pub(super) const EQ: Operators = 1;
pub(super) const ORDER: Operators = 2;
pub(super) const STARTS: Operators = 4;
pub(super) const CONTAINS: Operators = 8;
pub(super) const ANY: Operators = 16;

/// The tokens of a filter, with the variable of a lambda as a word of its own: `t:t/id` and `t: t/id` are the same.
fn lambda_tokens(text: &str) -> Option<Vec<Token>> {
    let split = |token: Token| match token {
        Token::Word(word) => match word.split_once(':') {
            Some((variable, rest)) if !rest.is_empty() && variable.chars().all(char::is_alphabetic) => {
                vec![Token::Word(format!("{variable}:")), Token::Word(rest.to_owned())]
            }
            _ => vec![Token::Word(word)],
        },
        other => vec![other],
    };
    Some(tokens(text)?.into_iter().flat_map(split).collect())
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    variable: Option<String>,
    depth: u32,
}

impl Parser {
    fn word_is(&mut self, word: &str) -> bool {
        self.tokens.next_if(|token| matches!(token, Token::Word(w) if w.eq_ignore_ascii_case(word))).is_some()
    }

    fn expect(&mut self, token: &Token) -> Option<()> {
        self.tokens.next_if_eq(token).map(|_| ())
    }

    fn some(&mut self) -> Option<Clause> {
        self.depth += 1;
        if self.depth > 20 {
            return None;
        }
        let mut parts = vec![self.all()?];
        while self.word_is("or") {
            parts.push(self.all()?);
        }
        self.depth -= 1;
        if parts.len() == 1 { parts.pop() } else { Some(Clause::Some(parts)) }
    }

    fn all(&mut self) -> Option<Clause> {
        let mut parts = vec![self.term()?];
        while self.word_is("and") {
            parts.push(self.term()?);
        }
        if parts.len() == 1 { parts.pop() } else { Some(Clause::All(parts)) }
    }

    fn term(&mut self) -> Option<Clause> {
        match self.tokens.next()? {
            Token::Open => {
                let inner = self.some()?;
                self.expect(&Token::Close)?;
                Some(inner)
            }
            Token::Word(word) if word.eq_ignore_ascii_case("not") && self.depth < 20 => {
                self.depth += 1;
                let inner = self.term()?;
                self.depth -= 1;
                Some(Clause::Not(Box::new(inner)))
            }
            Token::Word(word) if self.tokens.peek() == Some(&Token::Open) => {
                self.tokens.next();
                let clause = match word.rsplit_once('/') {
                    Some((path, "any")) => self.element(path.to_owned())?,
                    _ => self.function(&word)?,
                };
                self.expect(&Token::Close)?;
                Some(clause)
            }
            Token::Word(word) => {
                let path = self.path(word)?;
                let Token::Word(operator) = self.tokens.next()? else { return None };
                let operator = ["eq", "ne", "ge", "le", "gt", "lt"].into_iter().find(|known| known.eq_ignore_ascii_case(&operator))?;
                Some(Clause::Compare(path, operator, self.literal()?))
            }
            _ => None,
        }
    }

    fn path(&self, word: String) -> Option<String> {
        match &self.variable {
            None => Some(word),
            Some(variable) if word == *variable => Some(String::new()),
            Some(variable) => word.strip_prefix(variable.as_str())?.strip_prefix('/').map(str::to_owned),
        }
    }

    fn element(&mut self, path: String) -> Option<Clause> {
        let Token::Word(variable) = self.tokens.next()? else { return None };
        if self.variable.is_some() {
            return None;
        }
        self.variable = Some(variable.strip_suffix(':')?.to_owned());
        let inner = self.some()?;
        self.variable = None;
        Some(Clause::Element(path, Box::new(inner)))
    }

    fn function(&mut self, name: &str) -> Option<Clause> {
        let name = ["startsWith", "contains"].into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
        let (Token::Word(path), Token::Comma, Token::Text(text)) = (self.tokens.next()?, self.tokens.next()?, self.tokens.next()?) else {
            return None;
        };
        Some(Clause::Function(name, self.path(path)?, text))
    }

    fn literal(&mut self) -> Option<Literal> {
        Some(match self.tokens.next()? {
            Token::Text(text) => Literal::Text(text),
            Token::Word(word) => match word.as_str() {
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                "null" => Literal::Null,
                other => match other.parse() {
                    Ok(number) => Literal::Number(number),
                    Err(_) => Literal::Time(date(other)?),
                },
            },
            _ => return None,
        })
    }
}

/// `2026-01-01T00:00:00Z` with any number of digits of a second; those beyond nanoseconds say nothing.
fn date(text: &str) -> Option<Timestamp> {
    let body = text.strip_suffix('Z')?;
    let (seconds, fraction) = body.split_once('.').unwrap_or((body, ""));
    if seconds.len() < 19 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(9)];
    if fraction.is_empty() { format!("{seconds}Z").parse().ok() } else { format!("{seconds}.{fraction}Z").parse().ok() }
}

/// Whether this is a filter, and what follows from reading one does not fail: for `fuzz/` alone.
pub fn is_read(text: &str, body: &Value) -> bool {
    Clause::parse(text).is_some_and(|clause| {
        let (_, rest) = clause.window("createdDateTime");
        rest.iter().all(|clause| !clause.matches(body, true) || !clause.mentions("")) || !rest.is_empty()
    })
}

fn after(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX)
}

impl Clause {
    /// Reads a filter; `None` when it is malformed.
    pub fn parse(text: &str) -> Option<Clause> {
        let mut parser = Parser { tokens: lambda_tokens(text)?.into_iter().peekable(), variable: None, depth: 0 };
        let clause = parser.some()?;
        parser.tokens.next().is_none().then_some(clause)
    }

    /// Whether every property it uses may be used so, and is compared with what fits: a time with a date, nothing else with one.
    pub fn is_allowed(&self, rules: &[(&str, Operators)], times: &[&str]) -> bool {
        let may = |path: &str, operator: Operators| rules.iter().any(|(name, operators)| *name == path && operators & operator != 0);
        match self {
            Clause::All(parts) | Clause::Some(parts) => parts.iter().all(|part| part.is_allowed(rules, times)),
            Clause::Not(inner) => inner.is_allowed(rules, times),
            Clause::Compare(path, operator, literal) => {
                let operator = if *operator == "eq" { EQ } else { ORDER };
                may(path, operator) && times.contains(&path.as_str()) == matches!(literal, Literal::Time(_))
            }
            Clause::Function(name, path, _) => may(path, if *name == "contains" { CONTAINS } else { STARTS }),
            Clause::Element(path, _) => may(path, ANY),
        }
    }

    /// Whether it says anything of this property.
    pub fn mentions(&self, property: &str) -> bool {
        match self {
            Clause::All(parts) | Clause::Some(parts) => parts.iter().any(|part| part.mentions(property)),
            Clause::Not(inner) => inner.mentions(property),
            Clause::Compare(path, ..) | Clause::Function(_, path, _) | Clause::Element(path, _) => path == property,
        }
    }

    /// The half-open span of `time` that it admits, and what else it demands.
    pub fn window(self, time: &str) -> ((Timestamp, Timestamp), Vec<Clause>) {
        let parts = match self {
            Clause::All(parts) => parts,
            other => vec![other],
        };
        let (mut from, mut to, mut rest) = (Timestamp::MIN, Timestamp::MAX, Vec::new());
        for part in parts {
            let Clause::Compare(path, operator, Literal::Time(at)) = &part else {
                rest.push(part);
                continue;
            };
            match *operator {
                _ if path != time => rest.push(part),
                "ge" => from = from.max(*at),
                "gt" => from = from.max(after(*at)),
                "lt" => to = to.min(*at),
                "le" => to = to.min(after(*at)),
                "eq" => (from, to) = (from.max(*at), to.min(after(*at))),
                _ => rest.push(part),
            }
        }
        ((from, to), rest)
    }

    /// Whether a body satisfies it; letters differ by case only where `exact`.
    pub fn matches(&self, body: &Value, exact: bool) -> bool {
        match self {
            Clause::All(parts) => parts.iter().all(|part| part.matches(body, exact)),
            Clause::Some(parts) => parts.iter().any(|part| part.matches(body, exact)),
            Clause::Not(inner) => !inner.matches(body, exact),
            Clause::Compare(path, operator, literal) => {
                let order = order(at(body, path), literal, exact);
                match *operator {
                    "eq" => order == Some(Ordering::Equal),
                    "ne" => order != Some(Ordering::Equal),
                    "ge" => order.is_some_and(Ordering::is_ge),
                    "le" => order.is_some_and(Ordering::is_le),
                    "gt" => order.is_some_and(Ordering::is_gt),
                    _ => order.is_some_and(Ordering::is_lt),
                }
            }
            Clause::Function(name, path, text) => at(body, path).as_str().is_some_and(|value| {
                let (value, text) = if exact { (value.to_owned(), text.clone()) } else { (value.to_lowercase(), text.to_lowercase()) };
                if *name == "contains" { value.contains(&text) } else { value.starts_with(&text) }
            }),
            Clause::Element(path, inner) => {
                at(body, path).as_array().is_some_and(|list| list.iter().any(|item| inner.matches(item, exact)))
            }
        }
    }
}

fn at<'v>(body: &'v Value, path: &str) -> &'v Value {
    path.split('/').filter(|name| !name.is_empty()).fold(body, |value, name| &value[name])
}

fn order(value: &Value, literal: &Literal, exact: bool) -> Option<Ordering> {
    match literal {
        Literal::Text(text) if exact => value.as_str().map(|value| value.cmp(text)),
        Literal::Text(text) => value.as_str().map(|value| value.to_lowercase().cmp(&text.to_lowercase())),
        Literal::Number(number) => value.as_i64().map(|value| value.cmp(number)),
        Literal::Bool(wanted) => value.as_bool().map(|value| value.cmp(wanted)),
        Literal::Null => value.is_null().then_some(Ordering::Equal),
        Literal::Time(at) => value.as_str().and_then(date).map(|value| value.cmp(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_the_rest_is_kept() {
        let read = |text: &str| Clause::parse(text).map(|clause| clause.window("createdDateTime"));
        let day: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let ((from, to), rest) =
            read("createdDateTime ge 2026-01-01T00:00:00Z and createdDateTime lt 2026-01-01T00:00:00.0000001Z and userId eq 'x'").unwrap();
        assert_eq!((from, to), (day, day + SignedDuration::from_nanos(100)));
        assert_eq!(rest.len(), 1);
        assert_eq!(read("createdDateTime le 2026-01-01T00:00:00Z").unwrap().0.1, day + SignedDuration::from_nanos(1));
        assert_eq!(read("createdDateTime gt 2026-01-01T00:00:00.0000000000001Z").unwrap().0.0, day + SignedDuration::from_nanos(1));
    }

    #[test]
    fn lambdas_reach_into_collections() {
        let body = serde_json::json!({"signInEventTypes": ["nonInteractiveUser"], "targetResources": [{"id": "a"}]});
        for (text, expected) in [
            ("signInEventTypes/any(t: t eq 'nonInteractiveUser')", true),
            ("signInEventTypes/any(t:t eq 'interactiveUser' or t eq 'nonInteractiveUser')", true),
            ("signInEventTypes/any(t: t ne 'nonInteractiveUser')", false),
            ("targetResources/any(x: x/id eq 'A')", true),
            ("not (targetResources/any(x: x/id eq 'b'))", true),
        ] {
            assert_eq!(Clause::parse(text).map(|clause| clause.matches(&body, false)), Some(expected), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_filter_text_panics(text in "[a-z0-9:'()/, .TZ-]{0,80}") {
            let _ = Clause::parse(&text);
        }

        #[test]
        fn no_date_panics(text in ".{0,40}Z") {
            let _ = date(&text);
        }
    }
}
