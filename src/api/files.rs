//! Facts of the tenants' files, for the metrics: read when a file changed, and not more often than every few seconds. Keeps none open.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::mirror::{self, FileMark};
use crate::resources;

/// A file is not looked at again before this.
const KEEP: Duration = Duration::from_secs(15);

/// What was read of each file.
#[derive(Debug, Default)]
pub(super) struct Files {
    known: Mutex<HashMap<String, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    looked: Instant,
    facts: Facts,
}

/// What is known of a tenant's file.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub mark: FileMark,
    pub resources: Vec<Fresh>,
}

/// Of a resource.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    pub resource: &'static str,
    pub last_success: Option<Timestamp>,
    pub delta_link: Option<Timestamp>,
}

impl Files {
    /// The facts of each file, in the order of the tenants. Blocks: it reads files.
    pub fn facts(&self, tenants: &[(String, PathBuf)]) -> Vec<Facts> {
        // Held while files are read: who scrapes at the same time waits for the same facts.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| tenants.iter().any(|(tenant, _)| tenant == name));
        let mut all = Vec::with_capacity(tenants.len());
        for (name, path) in tenants {
            let before = known.get(name);
            if let Some(before) = before.filter(|before| before.looked.elapsed() < KEEP) {
                all.push(before.facts.clone());
                continue;
            }
            let mark = mirror::file_mark(path);
            // Most tenants rest most of the time; their files need not be opened.
            let facts = match before {
                Some(before) if before.facts.mark == mark => before.facts.clone(),
                _ => Facts { mark, resources: read(path) },
            };
            known.insert(name.clone(), Known { looked: Instant::now(), facts: facts.clone() });
            all.push(facts);
        }
        all
    }
}

fn read(path: &std::path::Path) -> Vec<Fresh> {
    let time = |text: Option<String>| text.and_then(|text| text.parse().ok());
    match mirror::file_facts(path, resources::tables()) {
        Ok(facts) => facts
            .resources
            .into_iter()
            .map(|fresh| Fresh {
                resource: fresh.resource,
                last_success: time(fresh.last_success_at),
                delta_link: time(fresh.delta_link_at),
            })
            .collect(),
        // Before the first sync there is none; what else is wrong the runs and `status` say.
        Err(error) => {
            tracing::debug!(%error, "no facts for the metrics");
            Vec::new()
        }
    }
}
