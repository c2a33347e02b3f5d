//! Reading a list of states, which is no log: registration details, risky users, risk detections. Filter and paging over bodies that are
//! already written; knows not what they hold.

use serde_json::{Map, Value};

use super::super::answer::Answer;
use super::super::routes::Request;
use super::filter::{Clause, Operators};
use super::query::{invalid_filter, next_link, position, project, top};
use super::token::SkipToken;

/// How a list may be read.
pub(super) struct Rules {
    pub path: &'static str,
    pub filterable: &'static [(&'static str, Operators)],
    /// Filterable properties that are times.
    pub times: &'static [&'static str],
    pub max_top: usize,
}

/// One page of `values`, which are in the order of their ids.
pub(super) fn page(request: &Request<'_>, rules: &Rules, values: Vec<Value>) -> Answer {
    read(request, rules, values).unwrap_or_else(|refused| refused)
}

fn read(request: &Request<'_>, rules: &Rules, values: Vec<Value>) -> Result<Answer, Answer> {
    let clause = match request.query.get("$filter") {
        None => None,
        Some(text) => {
            Some(Clause::parse(text).filter(|clause| clause.is_allowed(rules.filterable, rules.times)).ok_or_else(invalid_filter)?)
        }
    };
    let top = top(request, rules.max_top, rules.max_top)?;
    let token = position(request, None)?;
    let select: Option<Vec<String>> = request.query.get("$select").map(|text| text.split(',').map(|name| name.trim().to_owned()).collect());
    let id = |value: &Value| value["id"].as_str().unwrap_or_default().to_owned();
    let after = token.last.as_ref().map(|(_, id)| id.to_string());
    let overlap = request.twist.overlap;
    let mut found = values
        .into_iter()
        .filter(|value| after.as_ref().is_none_or(|after| id(value) > *after || overlap && id(value) == *after))
        .filter(|value| clause.as_ref().is_none_or(|clause| clause.matches(value, false)));
    let mut page: Vec<Value> = found.by_ref().take(if request.twist.empty || request.twist.pause { 0 } else { top }).collect();
    let mut body = Map::new();
    body.insert("@odata.context".into(), format!("{}/{}/$metadata#{}", request.origin, request.version, rules.path).into());
    let still = request.twist.circle || request.twist.pause;
    if still || found.next().is_some() {
        let position = match page.last().filter(|_| !still) {
            None => token.last.clone(),
            Some(last) => Some((jiff::Timestamp::UNIX_EPOCH, id(last).into())),
        };
        let next = SkipToken { last: position, pages: token.pages + 1, ..token.clone() };
        body.insert("@odata.nextLink".into(), next_link(request, rules.path, &next).into());
    }
    page = page.into_iter().map(|value| project(value, select.as_deref())).collect();
    body.insert("value".into(), page.into());
    Ok(Answer::ok(&Value::Object(body)))
}
