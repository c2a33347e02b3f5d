//! The daemon as a child, watched from outside: what it says to systemd and on its socket, and what the kernel knows of it.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(250);

/// What the kernel says it uses at most.
#[derive(Clone, Copy, Default)]
struct Use {
    rss_mib: f64,
    descriptors: usize,
    threads: usize,
}

pub struct Daemon {
    child: Child,
    folder: PathBuf,
    notify: UnixDatagram,
    began: Instant,
    peak: Use,
    /// Seconds of processor time, and when, at the last report.
    told: (f64, Instant),
}

/// The program: of this build, or another one that is to be compared.
fn binary() -> Command {
    Command::new(std::env::var_os("BENCH_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_entra-mirror").into()))
}

pub fn set_private(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("mode");
}

impl Daemon {
    pub fn start(folder: &Path) -> Daemon {
        let socket = folder.join("notify");
        let notify = UnixDatagram::bind(&socket).expect("a socket");
        notify.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let mut command = binary();
        command.arg("--config").arg(folder.join("config.toml")).arg("run");
        command.env("NOTIFY_SOCKET", &socket).env_remove("RUST_LOG").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the daemon starts");
        let began = Instant::now();
        Daemon { child, folder: folder.into(), notify, began, peak: Use::default(), told: (0.0, began) }
    }

    /// Time until it told systemd that it is ready.
    pub fn wait_until_ready(&mut self, patience: Duration) -> Duration {
        let mut message = [0; 4096];
        loop {
            if let Ok(length) = self.notify.recv(&mut message)
                && message[..length].starts_with(b"READY=1")
            {
                return self.began.elapsed();
            }
            self.alive();
            assert!(self.began.elapsed() < patience, "it is not ready");
        }
    }

    /// Time until nothing runs and nothing is due.
    pub fn wait_until_idle(&mut self, patience: Duration) -> Duration {
        let mut looked = Instant::now();
        loop {
            self.look();
            assert!(self.began.elapsed() < patience, "it does not come to rest");
            if looked.elapsed() > Duration::from_secs(1) {
                looked = Instant::now();
                let status: serde_json::Value = serde_json::from_slice(&self.get("/status")).unwrap_or_default();
                if status["due_runs"] == 0 && status["runs"].as_array().is_some_and(Vec::is_empty) {
                    return self.began.elapsed();
                }
            }
            std::thread::sleep(EVERY);
        }
    }

    /// SIGHUP.
    pub fn reload(&self) {
        // SAFETY: a signal to a child of ours that was not waited for, so the number is its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGHUP) };
    }

    /// Waits for the next whole multiple of the interval.
    pub fn wait_for_tick(&mut self, interval: Duration) {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let over = Duration::from_nanos((since_epoch.as_nanos() % interval.as_nanos()) as u64);
        self.watch_for(interval - over);
    }

    /// Watches it for so long.
    pub fn watch_for(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while Instant::now() < end {
            self.look();
            std::thread::sleep(EVERY.min(end.saturating_duration_since(Instant::now())));
        }
    }

    pub fn forget_peaks(&mut self) {
        self.peak = Use::default();
        self.told = (self.processor_seconds(), Instant::now());
    }

    /// Prints its peaks and what it used of the processor since the last time, and what it logged.
    pub fn tell_use(&mut self) {
        self.look();
        let (before, at) = self.told;
        let used = self.processor_seconds() - before;
        let Use { rss_mib, descriptors, threads } = self.peak;
        let (rss_now, _) = self.memory();
        println!("  peak {rss_mib:.0} MiB (now {rss_now:.0}), {descriptors} descriptors, {threads} threads");
        println!("  {used:.1} s of processor time in {:.1} s", at.elapsed().as_secs_f64());
        let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
        let lines = log.split(|b| *b == b'\n').count();
        let problems = log
            .split(|b| *b == b'\n')
            .filter(|line| [&b" WARN "[..], b"ERROR "].iter().any(|word| line.windows(word.len()).any(|w| w == *word)));
        println!("  log so far: {lines} lines, {:.1} KiB; warnings and errors: {}", log.len() as f64 / 1024.0, problems.count());
        self.told = (self.processor_seconds(), Instant::now());
    }

    /// Runs that ended since it started, from its metrics.
    pub fn runs(&self) -> u64 {
        let text = String::from_utf8(self.get("/metrics")).expect("text");
        let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
        text.lines().filter(|line| line.starts_with("entra_mirror_runs_total{")).filter_map(value).sum::<f64>() as u64
    }

    /// Prints how long it takes to answer.
    pub fn tell_questions(&self) {
        for what in ["/metrics", "/status"] {
            let began = Instant::now();
            let length = self.get(what).len();
            println!("  GET {what}: {:.2} s, {:.1} KiB", began.elapsed().as_secs_f64(), length as f64 / 1024.0);
        }
        let began = Instant::now();
        let mut command = binary();
        let output = command.arg("--config").arg(self.folder.join("config.toml")).arg("status").output().expect("status");
        println!("  entra-mirror status: {:.2} s, {:.1} KiB", began.elapsed().as_secs_f64(), output.stdout.len() as f64 / 1024.0);
    }

    /// SIGTERM, and how long it takes to end.
    pub fn stop(mut self) {
        let began = Instant::now();
        // SAFETY: a signal to a child of ours that was not waited for, so the number is its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        // What it says to systemd is read, or it waits for a place for it.
        self.notify.set_nonblocking(true).expect("a socket");
        let status = loop {
            while self.notify.recv(&mut [0; 4096]).is_ok() {}
            match self.child.try_wait().expect("wait") {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        println!("  SIGTERM: ended after {:.2} s, {status}", began.elapsed().as_secs_f64());
    }

    fn get(&self, what: &str) -> Vec<u8> {
        let ask = || -> std::io::Result<Vec<u8>> {
            let mut stream = UnixStream::connect(self.folder.join("data/.locks/daemon.sock"))?;
            stream.write_all(format!("GET {what} HTTP/1.0\r\nHost: daemon\r\n\r\n").as_bytes())?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            Ok(answer)
        };
        let answer = ask().unwrap_or_default();
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
        answer[head..].to_vec()
    }

    fn alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("wait") {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            panic!("the daemon ended with {status}: {}", &log[log.len().saturating_sub(2000)..]);
        }
    }

    fn look(&mut self) {
        self.alive();
        // What it says to systemd is read, or the socket fills up.
        self.notify.set_nonblocking(true).expect("a socket");
        while self.notify.recv(&mut [0; 4096]).is_ok() {}
        self.notify.set_nonblocking(false).expect("a socket");
        let (rss, threads) = self.memory();
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(0, Iterator::count);
        let Use { rss_mib, descriptors: most, threads: many } = self.peak;
        self.peak = Use { rss_mib: rss_mib.max(rss), descriptors: most.max(descriptors), threads: many.max(threads) };
    }

    /// MiB in RAM, and threads.
    fn memory(&self) -> (f64, usize) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let number = |name: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default()
        };
        (number("VmRSS:") / 1024.0, number("Threads:") as usize)
    }

    fn processor_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default();
        let ticks: f64 = after.split(' ').skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum();
        // SAFETY: asks for a constant.
        ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
