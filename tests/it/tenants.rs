//! Many tenants in one daemon: all are mirrored, and what the process has open does not grow with their number.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use entra_mirror::resources;
use entra_mirror::simulator::{Quirks, TenantOptions};
use jiff::SignedDuration;

use crate::moved::{self, monday, move_to};
use crate::support::World;
use crate::truth::{self, Without, number, open};

const TENANTS: usize = 40;
const AT_ONCE: usize = 3;
const RESOURCES_AT_ONCE: usize = 2;

/// The most of each that was seen at once.
#[derive(Clone, Copy, Debug, Default)]
struct Most {
    tenants: usize,
    /// Descriptors of the tenants' files and locks.
    files: usize,
    threads: usize,
}

/// Looks at a process again and again until it is told to stop.
fn watch(pid: u32, data_dir: PathBuf, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<Most> {
    std::thread::spawn(move || {
        let mut most = Most::default();
        while !stop.load(Ordering::Relaxed) {
            let folder = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
            let open: Vec<PathBuf> = folder.filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect();
            let name = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            let tenants = open.iter().filter_map(|path| Some(name(path)?.split_once(".db")?.0.to_owned())).collect::<BTreeSet<_>>();
            most.tenants = most.tenants.max(tenants.len());
            most.files = most.files.max(open.iter().filter(|path| path.starts_with(&data_dir)).count());
            most.threads = most.threads.max(std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        most
    })
}

#[test]
fn forty_tenants_have_no_more_open_than_three_at_once() {
    let options = |n: usize| TenantOptions { quirks: Quirks::none(), ..TenantOptions::new(&format!("tenant{n:02}"), 9200 + n as u64, 30) };
    let world = World::new((0..TENANTS).map(options).collect());
    let mut config = format!("[sync]\ntenants_at_once = {AT_ONCE}\nresources_at_once = {RESOURCES_AT_ONCE}\n[schedule]\n");
    for resource in resources::all() {
        // Everything once an hour: the first round of all, and two by the schedule.
        let second = resource.definition.schedule.split(' ').next().unwrap_or_default();
        config.push_str(&format!("{} = \"{second} 20 * * * *\"\n", resource.name()));
    }
    world.write_config(&config);
    let start = monday(world.tenant().now());
    world.tenants.iter().for_each(|tenant| move_to(tenant, start));
    let end = start + SignedDuration::from_mins(100);
    let (stop, watched) = (Arc::new(AtomicBool::new(false)), Mutex::new(None));
    let begin = |pid| *watched.lock().expect("a lock") = Some(watch(pid, world.dir.path().join("data"), Arc::clone(&stop)));
    let half = start + SignedDuration::from_mins(50);
    let mut lived = false;
    moved::run(&world, start, end, begin, |to| {
        if to > half && !lived {
            lived = true;
            world.tenants.iter().for_each(|tenant| tenant.live(3));
        }
    });
    stop.store(true, Ordering::Relaxed);
    let most = watched.lock().expect("a lock").take().expect("watched").join().expect("what was seen");

    let all = resources::all().len() as i64;
    for tenant in &world.tenants {
        let file = world.file_of(tenant.name());
        assert_eq!(number(&open(&file), "SELECT count(*) FROM sync_runs WHERE outcome = 'done'"), 3 * all, "{}", tenant.name());
        truth::assert_equal(&file, &tenant.ground_truth(), Without::default());
    }
    assert!((1..=AT_ONCE).contains(&most.tenants), "{most:?}");
    // Of each tenant the database, its log and the log's index, each twice while it is opened, and a lock for each run; and three of the daemon.
    assert!(most.files <= AT_ONCE * (6 + RESOURCES_AT_ONCE) + 3, "{most:?}");
    // The runtime's, signals, and those on which files are read and written: as many as runs go on, and their requests' names are looked up.
    assert!(most.threads <= 24 + 2 * AT_ONCE * RESOURCES_AT_ONCE, "{most:?}");
}
