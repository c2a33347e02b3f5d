//! `$filter` of directory collections: comparison, functions, and/or/not, `in`, and `any` over collections. Pure.

use serde_json::Value;

use super::schema::Kind;
use super::store::Object;
use super::tokens::{Token, tokens};

/// A filter, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(String, &'static str, Value),
    In(String, Vec<Value>),
    Function(&'static str, String, String),
    /// Collection, member of its elements (empty: the element), value.
    Any(String, String, Value),
}

struct Parser {
    tokens: std::vec::IntoIter<Token>,
    ahead: Option<Token>,
    depth: u32,
    terms: u32,
}

/// Brackets and `not`s within one another, and terms in all: more would overflow the stack, in reading or in dropping.
const DEEPEST: u32 = 50;
const MOST_TERMS: u32 = 1000;

impl Parser {
    fn next(&mut self) -> Option<Token> {
        std::mem::replace(&mut self.ahead, self.tokens.next())
    }

    fn word_is(&self, word: &str) -> bool {
        matches!(&self.ahead, Some(Token::Word(w)) if w.eq_ignore_ascii_case(word))
    }

    fn expect(&mut self, token: &Token) -> Option<()> {
        (self.next()? == *token).then_some(())
    }

    fn or(&mut self) -> Option<Filter> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut left = self.and()?;
        while self.word_is("or") {
            self.next();
            left = Filter::Or(Box::new(left), Box::new(self.and()?));
        }
        self.depth -= 1;
        Some(left)
    }

    fn and(&mut self) -> Option<Filter> {
        let mut left = self.term()?;
        while self.word_is("and") {
            self.next();
            left = Filter::And(Box::new(left), Box::new(self.term()?));
        }
        Some(left)
    }

    fn term(&mut self) -> Option<Filter> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return None;
        }
        match self.next()? {
            Token::Open => {
                let inner = self.or()?;
                self.expect(&Token::Close)?;
                Some(inner)
            }
            Token::Word(word) if word.eq_ignore_ascii_case("not") && self.depth < DEEPEST => {
                self.depth += 1;
                let inner = self.term()?;
                self.depth -= 1;
                Some(Filter::Not(Box::new(inner)))
            }
            Token::Word(word) if word.to_ascii_lowercase().ends_with("/any") => self.any(word[..word.len() - 4].to_owned()),
            Token::Word(word) if self.ahead == Some(Token::Open) => {
                let name = ["startsWith", "endsWith"].into_iter().find(|f| f.eq_ignore_ascii_case(&word))?;
                self.next();
                let (Token::Word(property), Token::Comma, Token::Text(text), Token::Close) =
                    (self.next()?, self.next()?, self.next()?, self.next()?)
                else {
                    return None;
                };
                Some(Filter::Function(name, property, text))
            }
            Token::Word(property) => self.comparison(property),
            _ => None,
        }
    }

    fn comparison(&mut self, property: String) -> Option<Filter> {
        let Token::Word(operator) = self.next()? else { return None };
        if operator.eq_ignore_ascii_case("in") {
            self.expect(&Token::Open)?;
            let mut values = vec![self.value()?];
            while self.ahead == Some(Token::Comma) {
                self.next();
                values.push(self.value()?);
            }
            self.expect(&Token::Close)?;
            return Some(Filter::In(property, values));
        }
        let operator = ["eq", "ne", "ge", "le"].into_iter().find(|o| o.eq_ignore_ascii_case(&operator))?;
        Some(Filter::Compare(property, operator, self.value()?))
    }

    fn value(&mut self) -> Option<Value> {
        Some(match self.next()? {
            Token::Text(text) => Value::String(text),
            Token::Word(word) => match word.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                other => other.parse::<i64>().map_or_else(|_| Value::String(other.to_owned()), Value::from),
            },
            _ => return None,
        })
    }

    /// `any(x:x/skuId eq g)` or `any(x:x eq 'v')`.
    fn any(&mut self, collection: String) -> Option<Filter> {
        self.expect(&Token::Open)?;
        let Token::Word(path) = self.next()? else { return None };
        let path = match path.split_once(':') {
            Some((_, "")) => match self.next()? {
                Token::Word(path) => path,
                _ => return None,
            },
            Some((_, path)) => path.to_owned(),
            None => return None,
        };
        let member = path.split_once('/').map_or(String::new(), |(_, member)| member.to_owned());
        let Token::Word(operator) = self.next()? else { return None };
        let value = self.value()?;
        self.expect(&Token::Close)?;
        operator.eq_ignore_ascii_case("eq").then_some(Filter::Any(collection, member, value))
    }
}

impl Filter {
    /// Reads a filter; `None` when it is malformed or of a form that is not supported.
    pub fn parse(text: &str) -> Option<Filter> {
        let mut tokens = tokens(text)?.into_iter();
        let ahead = tokens.next();
        let mut parser = Parser { tokens, ahead, depth: 0, terms: 0 };
        let filter = parser.or()?;
        parser.ahead.is_none().then_some(filter)
    }

    /// Whether it needs `ConsistencyLevel: eventual` and `$count=true`.
    pub fn is_advanced(&self) -> bool {
        match self {
            Filter::And(a, b) | Filter::Or(a, b) => a.is_advanced() || b.is_advanced(),
            Filter::Not(_) | Filter::Compare(_, "ne", _) | Filter::Function("endsWith", ..) => true,
            _ => false,
        }
    }

    /// Names of the properties it uses.
    pub fn properties(&self) -> Vec<&str> {
        match self {
            Filter::And(a, b) | Filter::Or(a, b) => [a.properties(), b.properties()].concat(),
            Filter::Not(inner) => inner.properties(),
            Filter::Compare(name, ..) | Filter::In(name, _) | Filter::Function(_, name, _) | Filter::Any(name, ..) => vec![name],
        }
    }

    /// Why this kind of object cannot be filtered so.
    pub fn refusal(&self, kind: Kind) -> Option<String> {
        let info = kind.info();
        let unknown = self.properties().into_iter().find(|name| !info.properties.contains(&name.split('/').next().unwrap_or_default()));
        unknown.map(|name| format!("Could not find a property named '{name}' on type 'microsoft.graph.{}'.", info.name))
    }

    pub fn matches(&self, object: &Object) -> bool {
        match self {
            Filter::And(a, b) => a.matches(object) && b.matches(object),
            Filter::Or(a, b) => a.matches(object) || b.matches(object),
            Filter::Not(inner) => !inner.matches(object),
            Filter::Compare(name, operator, value) => compare(&get(object, name), operator, value),
            Filter::In(name, values) => values.iter().any(|value| compare(&get(object, name), "eq", value)),
            Filter::Function(function, name, text) => {
                let value = get(object, name);
                let (value, text) = (value.as_str().unwrap_or_default().to_lowercase(), text.to_lowercase());
                if *function == "startsWith" { value.starts_with(&text) } else { value.ends_with(&text) }
            }
            Filter::Any(name, member, value) => get(object, name).as_array().is_some_and(|list| {
                list.iter().any(|item| compare(if member.is_empty() { item } else { &item[member.as_str()] }, "eq", value))
            }),
        }
    }
}

fn get(object: &Object, path: &str) -> Value {
    if path == "id" {
        return Value::String(object.id.clone());
    }
    let mut names = path.split('/');
    let value = names.next().and_then(|name| object.get(name)).cloned().unwrap_or_default();
    names.fold(value, |value, name| value[name].clone())
}

fn compare(left: &Value, operator: &str, right: &Value) -> bool {
    let text = |value: &Value| value.as_str().map(str::to_lowercase);
    let order = match (text(left), text(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ if left == right => std::cmp::Ordering::Equal,
            _ => return operator == "ne",
        },
    };
    match operator {
        "eq" => order.is_eq(),
        "ne" => order.is_ne(),
        "ge" => order.is_ge(),
        _ => order.is_le(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_graph_knows_are_read_and_others_are_not() {
        for good in [
            "startsWith(userPrincipalName,'a')",
            "displayName eq 'O''Brien' and accountEnabled eq true",
            "createdDateTime ge 2026-01-01T00:00:00Z and createdDateTime le 2026-02-01T00:00:00Z",
            "assignedLicenses/any(x:x/skuId eq 05e9a617-0261-4cee-bb44-138d3ef5d965)",
            "userType in ('Member','Guest') or not(department eq null)",
            "endsWith(mail,'@contoso.example')",
        ] {
            assert!(Filter::parse(good).is_some(), "{good}");
        }
        for bad in
            ["", "displayName", "displayName like 'x'", "eq 'x'", "(a eq 'b'", "a eq 'b' and", "contains(displayName,'x')", "a eq 'x"]
        {
            assert!(Filter::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn depth_and_length_have_an_end() {
        assert!(Filter::parse(&format!("{}displayName eq 'a'", "not ".repeat(40))).is_some());
        for endless in [format!("{}a eq 'b'", "not ".repeat(20_000)), "(".repeat(20_000), format!("a eq 1{}", " or a eq 1".repeat(20_000))]
        {
            assert!(Filter::parse(&endless).is_none());
        }
    }

    proptest::proptest! {
        #[test]
        fn no_filter_text_panics(text in ".{0,80}") {
            let _ = Filter::parse(&text);
        }
    }
}
