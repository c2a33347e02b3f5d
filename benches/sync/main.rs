//! How long the binary takes against a server whose answers are prepared, beside a floor measured in the same run: the same bytes
//! downloaded by bare code, and the same rows inserted by bare code. `cargo bench` runs all; `cargo bench -- A` one shape.
//!
//! The server, the binary and the floors are processes of their own, so that peak memory is theirs alone.

mod floor;
mod server;
mod shape;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use shape::Shape;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    match std::env::var("ENTRA_MIRROR_BENCH_ROLE").as_deref() {
        Ok("server") => return server::serve(&Shape::named(&arguments[0])),
        Ok("download") => return floor::download(&arguments[0]),
        Ok("insert") => return floor::insert(Path::new(&arguments[0]), Path::new(&arguments[1])),
        _ => {}
    }
    println!(
        "{:<34} {:>8} {:>8} {:>8} {:>8} {:>9} {:>9} {:>8} {:>9}",
        "", "seconds", "download", "insert", "ratio", "peak MiB", "requests", "MiB got", "file MiB"
    );
    for shape in Shape::all().into_iter().filter(|shape| arguments.is_empty() || arguments.iter().any(|a| a == shape.name)) {
        measure(&shape);
    }
}

struct Figures {
    seconds: f64,
    peak_mib: f64,
    output: String,
}

/// Runs a process to its end; its time, its own peak memory, and what it printed.
fn timed(command: &mut Command) -> Figures {
    use std::io::Read;
    let began = Instant::now();
    // Waited for below, by wait4, which tells its memory too.
    #[expect(clippy::zombie_processes)]
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the process starts");
    let mut output = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut output).expect("its output");
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: waits for a child of ours that nobody waited for; both pointers lead to locals of the right types.
    let waited = unsafe { libc::wait4(child.id() as i32, &mut status, 0, usage.as_mut_ptr()) };
    let seconds = began.elapsed().as_secs_f64();
    assert!(waited > 0 && status == 0, "{command:?} ended with {status}: {output}");
    // SAFETY: wait4 succeeded, so it filled the struct (which is plain numbers and was zeroed before).
    let usage = unsafe { usage.assume_init() };
    Figures { seconds, peak_mib: usage.ru_maxrss as f64 / 1024.0, output }
}

fn own(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env("ENTRA_MIRROR_BENCH_ROLE", role);
    command
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_server(shape: &Shape) -> (Server, String) {
    use std::io::BufRead;
    let mut child = own("server").arg(shape.name).stdout(Stdio::piped()).spawn().expect("the server starts");
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("its address");
    (Server(child), line.trim().to_owned())
}

fn sync(config: &Path) -> (Figures, u64, f64) {
    let figures = timed(Command::new(env!("CARGO_BIN_EXE_entra-mirror")).arg("--config").arg(config).args(["--json", "--quiet", "sync"]));
    let reports: Vec<serde_json::Value> = serde_json::from_str(&figures.output).expect("reports");
    let sum = |field: &str| reports.iter().map(|r| r[field].as_u64().expect("a figure")).sum::<u64>();
    assert!(reports.iter().all(|r| r["outcome"] == "done"), "{reports:#?}");
    let (requests, bytes) = (sum("requests"), sum("bytes") as f64 / 1_048_576.0);
    (figures, requests, bytes)
}

fn measure(shape: &Shape) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("config.toml");
    let (_server, origin) = start_server(shape);
    std::fs::write(folder.path().join("secret"), "bench").expect("secret");
    std::fs::write(
        &config,
        format!(
            "data_dir = \"data\"\n[app]\nclient_id = \"11111111-2222-3333-4444-555555555555\"\nclient_secret_env = \"BENCH_SECRET\"\n\
             [[tenants]]\nname = \"bench\"\nid = \"bench.example\"\nlogin_url = \"{origin}\"\ngraph_url = \"{origin}\"\nresources = [\"users\", \"groups\"]\n"
        ),
    )
    .expect("config");
    // SAFETY: this process has one thread here.
    unsafe { std::env::set_var("BENCH_SECRET", "bench") };
    let file = folder.path().join("data/bench.db");
    let size = |path: &Path| std::fs::metadata(path).map_or(0.0, |m| m.len() as f64 / 1_048_576.0);

    let (first, requests, bytes) = sync(&config);
    let download: f64 = timed(own("download").arg(&origin)).output.trim().parse().expect("seconds");
    let copy = folder.path().join("floor.db");
    let insert: f64 = timed(own("insert").arg(&file).arg(&copy)).output.trim().parse().expect("seconds");
    let line = |what: &str, f: &Figures, floor: Option<(f64, f64)>, requests: u64, bytes: f64| {
        let (download, insert) = floor.unwrap_or_default();
        let text = |x: f64| if floor.is_some() { format!("{x:.2}") } else { String::new() };
        let ratio = if floor.is_some() { format!("{:.2}", f.seconds / (download + insert)) } else { String::new() };
        println!(
            "{what:<34} {:>8.2} {:>8} {:>8} {ratio:>8} {:>9.0} {requests:>9} {bytes:>8.1} {:>9.1}",
            f.seconds,
            text(download),
            text(insert),
            f.peak_mib,
            size(&file)
        );
    };
    line(&format!("{} first sync", shape.name), &first, Some((download, insert)), requests, bytes);
    if shape.changes > 0 {
        let (changed, requests, bytes) = sync(&config);
        line(&format!("{} {} changes", shape.name, shape.changes), &changed, None, requests, bytes);
        let (nothing, requests, bytes) = sync(&config);
        line(&format!("{} no change", shape.name), &nothing, None, requests, bytes);
    }
    std::thread::sleep(Duration::from_millis(100));
}
