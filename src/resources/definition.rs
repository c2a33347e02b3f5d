//! How a mirrored resource is described: Graph's properties and where each goes. Holds no data and knows no SQL text but index files.

use std::collections::HashMap;

use crate::graph::{Version, Workload};
use crate::mirror::{ChildRow, ChildTable, Column, Item, Kind, LinkTable, Table};

/// Where a resource comes from. Paths are relative to the version, without a leading slash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A delta query: `users/delta`.
    Delta(&'static str),
    /// A complete listing each time; `top` is the page size asked for, where the endpoint takes one.
    List { path: &'static str, top: Option<u32> },
    /// Events in time windows.
    Log(LogSource),
}

/// A log: events that are asked for by time and never swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSource {
    pub path: &'static str,
    /// Graph's name of the property that tells when an event happened; filtered and sorted by.
    pub time: &'static str,
    /// Page size asked for.
    pub top: u32,
    /// Queries that together make the log, each with windows of its own. The first is always asked, the others when they are switched on.
    pub streams: &'static [Stream],
}

/// One query of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// What its events are, in Graph's word; empty when the log has one kind only.
    pub name: &'static str,
    pub version: Version,
    /// Added to the time filter.
    pub filter: Option<&'static str>,
}

impl Stream {
    /// The only query of a log that has one kind of events.
    pub const ALL: &'static [Stream] = &[Stream { name: "", version: Version::V1, filter: None }];
}

/// Reads child rows from a property's JSON text.
pub type ReadRows = fn(&str) -> Result<Vec<ChildRow<'static>>, String>;

/// What becomes of a property.
#[derive(Clone, Copy, Debug)]
pub enum Take {
    /// The table's key.
    Key,
    /// The table's key under another name, where Graph's `id` is that of another object.
    KeyAs(&'static str),
    /// A column of the same name in snake_case.
    Column(Kind),
    /// Members of a complex value, each a column `<property>_<member>`, all integers.
    Members(&'static [&'static str]),
    /// A member of a complex value, however deep: a column named by its path, `location_geo_coordinates_latitude`.
    Nested(Kind),
    /// The same, with a column named by the last part alone: `last_sign_in_date_time`.
    Inner(Kind),
    /// The whole object as JSON text without annotations: the column `raw`.
    Raw,
    /// A single-valued relationship in a delta: a column `<property>_id`.
    Reference,
    /// A collection of links in a delta.
    Links(&'static LinkTable),
    /// Child rows.
    Children(&'static ChildTable, ReadRows),
    /// No property of Graph: a column that [`Definition::finish`] fills.
    Derived(Kind),
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Graph's name (of a derived column: the column's own name).
    pub name: &'static str,
    pub take: Take,
}

macro_rules! property_constructors {
    ($($(#[$doc:meta])* $function:ident => $take:expr;)*) => {
        $($(#[$doc])* pub const fn $function(name: &'static str) -> Property { Property { name, take: $take } })*
    };
}
property_constructors! {
    /// The key of the table.
    key => Take::Key;
    /// Text as it comes: strings, ids, enum members.
    text => Take::Column(Kind::Text);
    /// A number.
    integer => Take::Column(Kind::Integer);
    /// True or false.
    boolean => Take::Column(Kind::Boolean);
    /// A date and time.
    time => Take::Column(Kind::Time);
    /// A collection or complex value.
    json => Take::Column(Kind::Json);
    /// A single-valued relationship.
    reference => Take::Reference;
}
/// Links to other objects.
pub const fn links(name: &'static str, table: &'static LinkTable) -> Property {
    Property { name, take: Take::Links(table) }
}
/// Rows that belong to the object.
pub const fn children(name: &'static str, table: &'static ChildTable, read: ReadRows) -> Property {
    Property { name, take: Take::Children(table, read) }
}
/// Integer members of a complex value.
pub const fn members(name: &'static str, members: &'static [&'static str]) -> Property {
    Property { name, take: Take::Members(members) }
}
/// A member of a complex value by its path with dots, such as `status.errorCode`; the column is `status_error_code`.
pub const fn nested(path: &'static str, kind: Kind) -> Property {
    Property { name: path, take: Take::Nested(kind) }
}
/// The same with a column named by the last part of the path alone.
pub const fn inner(path: &'static str, kind: Kind) -> Property {
    Property { name: path, take: Take::Inner(kind) }
}
/// The whole object, in the column `raw`.
pub const RAW: Property = Property { name: "raw", take: Take::Raw };
/// A column filled by [`Definition::finish`].
pub const fn derived(column: &'static str, kind: Kind) -> Property {
    Property { name: column, take: Take::Derived(kind) }
}

/// Everything that is said of a resource, in one constant of its file.
#[derive(Debug)]
pub struct Definition {
    /// Table name; the resource's name everywhere.
    pub name: &'static str,
    /// A few words for `--help` and `status`.
    pub summary: &'static str,
    pub source: Source,
    pub properties: &'static [Property],
    /// Graph type of directory objects.
    pub object_type: Option<&'static str>,
    /// Whether extra properties may be configured.
    pub extra: bool,
    /// Set when the resource only brings child rows of another resource's rows.
    pub rows_of: Option<&'static str>,
    /// SQL of the indexes that are built when the first round is complete.
    pub indexes: Option<&'static str>,
    /// Whether an empty answer is never believed while rows stand.
    pub never_empty: bool,
    pub workload: Workload,
    /// Application permissions that allow it, the least first.
    pub permissions: &'static [&'static str],
    /// Licence it needs, in Microsoft's words.
    pub licence: Option<&'static str>,
    /// Whether the endpoint takes `$select`.
    pub selects: bool,
    /// Default schedule: cron with seconds, UTC.
    pub schedule: &'static str,
    /// Last touch on a decoded object.
    pub finish: Option<fn(&Table, &mut Item<'_>)>,
}

impl Definition {
    /// What most resources share; a definition names what is different.
    pub const DEFAULT: Definition = Definition {
        name: "",
        summary: "",
        source: Source::List { path: "", top: None },
        properties: &[],
        object_type: None,
        extra: false,
        rows_of: None,
        indexes: None,
        never_empty: false,
        workload: Workload::Directory,
        permissions: &[],
        licence: None,
        selects: true,
        schedule: "0 */15 * * * *",
        finish: None,
    };
}

/// Where a name that comes from Graph leads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Key,
    Removed,
    Column(usize, Kind),
    /// A complex value of which members become columns: where they stand in [`Resource::nested`] is found by its name.
    Nested,
    Members(&'static [&'static str], usize),
    Reference(usize),
    Links(usize),
    Children(usize, ReadRows),
}

/// A resource, ready for use: its definition, its table, and where each name leads.
#[derive(Debug)]
pub struct Resource {
    pub definition: &'static Definition,
    pub table: &'static Table,
    pub(super) targets: HashMap<String, Target>,
    /// Path, column and kind of members of complex values.
    pub(super) nested: Vec<(Vec<&'static str>, usize, Kind)>,
    /// Position of the column `raw`.
    pub(super) raw: Option<usize>,
}

impl Resource {
    /// The resource's name, which is its table's.
    pub fn name(&self) -> &'static str {
        self.definition.name
    }

    /// Whether it comes from a delta query.
    pub fn is_delta(&self) -> bool {
        matches!(self.definition.source, Source::Delta(_))
    }

    pub(super) fn build(definition: &'static Definition) -> Resource {
        let mut columns = Vec::new();
        let mut link_tables: Vec<LinkTable> = Vec::new();
        let mut child_tables = Vec::new();
        let mut targets = HashMap::new();
        let (mut nested, mut raw) = (Vec::new(), None);
        let mut key = "id".to_owned();
        targets.insert("@removed".to_owned(), Target::Removed);
        for property in definition.properties {
            let column = snake_case(property.name);
            match property.take {
                Take::Key => {
                    key = column;
                    targets.insert(property.name.to_owned(), Target::Key);
                }
                Take::KeyAs(column) => {
                    key = column.to_owned();
                    targets.insert(property.name.to_owned(), Target::Key);
                }
                Take::Column(kind) => {
                    targets.insert(property.name.to_owned(), Target::Column(columns.len(), kind));
                    columns.push(Column { name: leak(column), kind });
                }
                Take::Members(members) => {
                    targets.insert(property.name.to_owned(), Target::Members(members, columns.len()));
                    for member in members {
                        let name = format!("{column}_{}", snake_case(member));
                        columns.push(Column { name: leak(name), kind: Kind::Integer });
                    }
                }
                Take::Reference => {
                    targets.insert(format!("{}@delta", property.name), Target::Reference(columns.len()));
                    columns.push(Column { name: leak(format!("{column}_id")), kind: Kind::Text });
                }
                Take::Links(table) => {
                    targets.insert(format!("{}@delta", property.name), Target::Links(link_tables.len()));
                    link_tables.push(table.clone());
                }
                Take::Children(table, read) => {
                    targets.insert(property.name.to_owned(), Target::Children(child_tables.len(), read));
                    child_tables.push(table);
                }
                Take::Nested(kind) | Take::Inner(kind) => {
                    let path: Vec<&str> = property.name.split('.').collect();
                    targets.insert(path[0].to_owned(), Target::Nested);
                    let from = if matches!(property.take, Take::Inner(_)) { path.len() - 1 } else { 0 };
                    let name = path[from..].iter().map(|part| snake_case(part)).collect::<Vec<_>>().join("_");
                    nested.push((path, columns.len(), kind));
                    columns.push(Column { name: leak(name), kind });
                }
                Take::Raw => {
                    raw = Some(columns.len());
                    columns.push(Column { name: property.name, kind: Kind::Json });
                }
                Take::Derived(kind) => columns.push(Column { name: property.name, kind }),
            }
        }
        // Once per process and resource, and needed to its end.
        let table = Box::leak(Box::new(Table {
            name: definition.name,
            key: leak(key),
            columns: columns.leak(),
            object_type: definition.object_type,
            extra: definition.extra,
            rows_of: definition.rows_of,
            links: link_tables.leak(),
            children: child_tables.leak(),
            indexes: definition.indexes,
            never_empty: definition.never_empty,
            log_time: match definition.source {
                Source::Log(log) => Some(leak(snake_case(log.time))),
                _ => None,
            },
            reconcile_key: leak(format!("{}/reconcile", definition.name)),
        }));
        Resource { definition, table, targets, nested, raw }
    }

    /// Names for `$select`, the configured extra ones last. What the cloud does not have is left out: Graph refuses unknown names.
    pub fn selection(&self, extra: &[String], cloud: &str) -> String {
        let missing = super::clouds::missing_properties(self.name(), cloud);
        let mut names: Vec<&str> = Vec::new();
        for property in self.definition.properties {
            let name = match property.take {
                Take::Derived(_) | Take::Raw => continue,
                Take::Nested(_) | Take::Inner(_) => property.name.split('.').next().unwrap_or_default(),
                _ => property.name,
            };
            if !missing.contains(&name) && !names.contains(&name) {
                names.push(name);
            }
        }
        names.extend(extra.iter().map(String::as_str));
        names.join(",")
    }

    /// Queries of a log: the first, and those whose names are switched on.
    pub fn streams(&self, switched_on: &[String]) -> Vec<&'static Stream> {
        let Source::Log(log) = self.definition.source else { return Vec::new() };
        let on = |index: usize, stream: &Stream| match switched_on {
            [] => index == 0,
            names => names.iter().any(|name| name == stream.name),
        };
        log.streams.iter().enumerate().filter(|(index, stream)| on(*index, stream)).map(|(_, stream)| stream).collect()
    }

    /// Whether a property is mirrored in a column of its own or as rows.
    pub fn has_property(&self, name: &str) -> bool {
        let derived = |property: &Property| matches!(property.take, Take::Derived(_) | Take::Raw);
        self.definition.properties.iter().any(|p| p.name.split('.').next() == Some(name) && !derived(p))
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

/// `userPrincipalName` -> `user_principal_name`.
pub fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
