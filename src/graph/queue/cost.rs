//! What a request costs in resource units: Graph's published table to start with, then what Graph's answers say. Knows no budget.
//! <https://learn.microsoft.com/graph/throttling-limits>

use std::collections::HashMap;

use super::super::link::Link;

/// Shapes of requests that are remembered; there are a few dozen.
const MOST_SHAPES: usize = 512;
/// A cost beyond this is not believed.
const MOST_UNITS: u32 = 1000;

/// A request without the ids in it: what costs the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    path: String,
    select: bool,
    expand: bool,
    small_top: bool,
}

impl Shape {
    pub fn of(link: &Link) -> Shape {
        let query = link.query();
        let value = |name: &str| query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
        // The first part of the path is the version.
        let parts = link.path().trim_matches('/').split('/').skip(1);
        let path: Vec<&str> = parts.enumerate().map(|(place, part)| if place > 0 && is_id(part) { "{id}" } else { part }).collect();
        Shape {
            path: path.join("/"),
            select: value("$select").is_some(),
            expand: value("$expand").is_some(),
            small_top: value("$top").and_then(|top| top.parse::<u32>().ok()).is_some_and(|top| top < 20),
        }
    }

    /// The published cost.
    fn published(&self) -> u32 {
        let parts: Vec<&str> = self.path.split('/').collect();
        let base: i32 = match parts[..] {
            ["users" | "applications" | "oauth2PermissionGrants"] => 2,
            ["users", _, "memberOf" | "transitiveMemberOf" | "ownedObjects" | "licenseDetails"] => 2,
            ["servicePrincipals", _, "appRoleAssignments"] => 2,
            ["groups", _, "members"] => 3,
            ["groups", _, "transitiveMembers"] => 5,
            ["subscribedSkus" | "contracts"] => 3,
            ["domains", _, "domainNameReferences"] => 4,
            _ => 1,
        };
        let cost = base - i32::from(self.select) + i32::from(self.expand) - i32::from(self.small_top);
        u32::try_from(cost).unwrap_or(1).max(1)
    }
}

/// Ids and names of objects hold digits or signs; names of segments do not, but for a few that are known.
fn is_id(part: &str) -> bool {
    part != "oauth2PermissionGrants" && part.contains(|c: char| c.is_ascii_digit() || matches!(c, '@' | '-' | '\'' | '%'))
}

/// The costs that answers told.
#[derive(Debug, Default)]
pub(super) struct Costs {
    told: HashMap<Shape, u32>,
}

impl Costs {
    /// What a request of this shape is expected to cost.
    pub fn of(&self, shape: &Shape) -> u32 {
        self.told.get(shape).copied().unwrap_or_else(|| shape.published())
    }

    /// What one did cost, as its answer told.
    pub fn learn(&mut self, shape: &Shape, units: u32) {
        let units = units.clamp(1, MOST_UNITS);
        let known = self.told.len();
        match self.told.get_mut(shape) {
            Some(told) => *told = units,
            None if units != shape.published() && known < MOST_SHAPES => drop(self.told.insert(shape.clone(), units)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::link::Origin;
    use super::*;

    fn shape(path: &str) -> Shape {
        let origin = Origin::parse("https://graph.microsoft.com").expect("an origin");
        Shape::of(&Link::parse(&origin, &format!("https://graph.microsoft.com/v1.0/{path}")).expect("a link"))
    }

    #[test]
    fn the_published_table_with_its_modifiers() {
        const ID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
        for (path, units) in [
            ("users".to_owned(), 2),
            ("users?$select=id".to_owned(), 1),
            ("users?%24select=id&$top=5".to_owned(), 1),
            ("users?$expand=manager".to_owned(), 3),
            ("users?$select=id&$expand=manager".to_owned(), 2),
            ("users?$top=999".to_owned(), 2),
            (format!("groups/{ID}/members"), 3),
            (format!("groups/{ID}/transitiveMembers?$select=id"), 4),
            ("users/anna@contoso.com/licenseDetails".to_owned(), 2),
            ("oauth2PermissionGrants".to_owned(), 2),
            ("subscribedSkus".to_owned(), 3),
            ("domains/contoso.com/domainNameReferences".to_owned(), 4),
            ("users/delta?$select=id".to_owned(), 1),
            ("devices?$top=5".to_owned(), 1),
        ] {
            assert_eq!(Costs::default().of(&shape(&path)), units, "{path}");
        }
    }

    #[test]
    fn answers_correct_the_table_for_all_ids_at_once() {
        let mut costs = Costs::default();
        costs.learn(&shape("groups/11111111-0000-0000-0000-000000000000/transitiveMembers"), 4);
        assert_eq!(costs.of(&shape("groups/22222222-0000-0000-0000-000000000000/transitiveMembers")), 4);
        assert_eq!(costs.of(&shape("groups/22222222-0000-0000-0000-000000000000/transitiveMembers?$select=id")), 4);
        for n in 0..10_000 {
            costs.learn(&shape(&format!("letters{}", "x".repeat(n % 700))), 9);
        }
        assert!(costs.told.len() <= MOST_SHAPES);
    }
}
