//! Lines of the matrix that are one action before each representative, and the reasons for numbers of the list that have no line.

use std::time::Duration;

use entra_mirror::simulator::{Action, Quirks, Retry, TenantOptions};
use serde_json::json;

use super::{ALL, DELTA, Kind, LISTING, LOG, Line, Meets, READ_AGAIN, Row, Takes};

/// Numbers of the list that are no fault, or none that this program can meet.
pub const REASONS: &[(u8, &str)] = &[
    (16, "not met: the program sends neither $deltatoken=latest nor a $filter on delta"),
    (19, "not met: no query needs ConsistencyLevel; where one would, the header goes with every page of its chain"),
    (24, "not met: directoryRoles is not read; roleDefinitions and roleAssignments are"),
    (30, "not met: $batch is not used; each line checks that only GETs were sent"),
    (35, "not here: managed identities are tested with the sign-in"),
    (36, "not here: certificates and assertions are tested with the sign-in"),
    (37, "not here: consent is tested with the sign-in"),
    (47, "no fault: how the simulator is driven; every line uses it"),
    (48, "no fault: the ground truth that every line is compared with"),
];

fn line(number: u8, name: &'static str, kinds: &'static [Kind], action: Action) -> Line {
    let row = Row {
        action,
        takes: Takes::AtOnce,
        later: false,
        further: false,
        paged: false,
        times: 1,
        at_most: 0,
        only: &[],
        one_each: false,
        says: "",
        mentions: "",
        leads_to: "",
        within: Duration::MAX,
    };
    Line { number, name, kinds, but: "", options: |plain| plain, config: "", meets: Meets::Row(row) }
}

impl Line {
    fn but(self, but: &'static str) -> Line {
        Line { but, ..self }
    }

    fn in_tenant(self, options: fn(TenantOptions) -> TenantOptions) -> Line {
        Line { options, ..self }
    }

    fn row(mut self, change: impl FnOnce(&mut Row)) -> Line {
        if let Meets::Row(row) = &mut self.meets {
            change(row);
        }
        self
    }

    fn takes(self, takes: Takes) -> Line {
        self.row(|row| row.takes = takes)
    }

    fn later(self) -> Line {
        self.row(|row| row.later = true)
    }

    fn further(self) -> Line {
        self.row(|row| row.further = true)
    }

    fn paged(self) -> Line {
        self.row(|row| row.paged = true)
    }

    fn times(self, times: u64) -> Line {
        self.row(|row| row.times = times)
    }

    fn always(self) -> Line {
        self.times(0)
    }

    fn only(self, only: &'static [&'static str]) -> Line {
        self.row(|row| row.only = only)
    }

    fn refused(self, says: &'static str) -> Line {
        self.always().takes(Takes::NextRun).row(|row| row.says = says)
    }

    fn mentions(self, mentions: &'static str) -> Line {
        self.row(|row| row.mentions = mentions)
    }

    /// One resource after the other: time that passes for one would pass for those beside it.
    fn one_by_one(self) -> Line {
        Line { config: "[sync]\nresources_at_once = 1\n", ..self }
    }

    /// The client waits two seconds for an answer.
    fn impatient(self) -> Line {
        // Much longer than that, so that a run that is over in time has not waited for it.
        let line = self.row(|row| row.within = Duration::from_secs(25));
        Line { config: "[sync]\nrequest_timeout_secs = 2\n", ..line }
    }
}

fn error(status: u16, code: &str, message: &str, retry_after: Retry) -> Action {
    Action::Error { status, code: code.into(), message: message.into(), retry_after }
}

fn seconds(text: &str) -> Retry {
    Retry::Seconds(text.into())
}

const ONLY_DELTA: &str = "only delta has delta tokens";
const ONE_ANSWER: &str = "subscribedSkus comes in one answer: no page token, no link";
const REFUSES: &str = "Authentication_RequestFromNonPremiumTenantOrB2CTenant";
const LICENSED: &[&str] = &["user_registration_details", "sign_ins"];
const PIM: &[&str] = &["role_assignment_schedule_instances"];

pub fn rows() -> Vec<Line> {
    [of_pages(), of_delta(), of_throttling(), of_transport(), of_sign_in_and_licence()].into_iter().flatten().collect()
}

fn of_pages() -> Vec<Line> {
    let transient = |status, code: &str| error(status, code, "by fault", Retry::Missing);
    let wrong = || Action::Set { property: String::new(), value: json!({"not": "text"}) };
    let expired = |name, action| line(20, name, ALL, action).further().but(ONE_ANSWER);
    vec![
        line(2, "empty page that goes on", ALL, Action::EmptyPage).paged().times(2).but(ONE_ANSWER),
        line(3, "objects twice on a page", ALL, Action::Twice).always(),
        line(3, "objects in parts, in any order", DELTA, Action::Parts)
            .always()
            .but("listings and logs give whole objects: what does not come there is not set"),
        line(3, "objects in parts over rows that stand", DELTA, Action::Parts).always().later().but("as above"),
        line(3, "a value of a wrong type", DELTA, wrong()).takes(Takes::Resync).mentions("skipped: ").but("the two lines below"),
        line(3, "a value of a wrong type", LISTING, wrong()).takes(Takes::NextRun).mentions("skipped: ").but("above and below"),
        line(3, "a value of a wrong type", LOG, wrong()).takes(Takes::Resync).mentions("did not fit its column").but("above"),
        line(12, "change during a round", DELTA, Action::Change { events: 3 }).takes(Takes::NextRun).but("22 has it for them"),
        line(13, "a circle", ALL, Action::Loop).refused("circles"),
        line(17, "wrong context, unknown annotations", ALL, Action::Context).always(),
        line(17, "members of unknown types", DELTA, Action::UnknownTypes)
            .always()
            .takes(Takes::Resync)
            .only(&["groups"])
            .but("only groups and units have members"),
        expired("page token expired", transient(400, "Directory_ExpiredPageToken")),
        expired("page token dead after a minute", Action::Pass { seconds: 120 })
            .in_tenant(|plain| TenantOptions { skiptoken_life: Some(Duration::from_secs(60)), ..plain })
            .one_by_one(),
        line(20, "token of a page that was asked for again", ALL, Action::LosePageToken)
            .paged()
            .row(|row| row.leads_to = "skiptoken=lost-")
            .but(ONE_ANSWER),
        line(21, "page size refused", READ_AGAIN, error(400, "BadRequest", "Invalid page size specified.", Retry::Missing))
            .only(&["assigned_licenses", "sign_ins", "directory_audits"])
            .but("$top is never sent on delta, nor to listings that take none"),
        line(22, "change during a listing", READ_AGAIN, Action::Change { events: 3 }).takes(Takes::NextRun).but("12 is the same for delta"),
        line(22, "last object again on the next page", ALL, Action::Overlap)
            .paged()
            .in_tenant(|plain| TenantOptions { quirks: Quirks::none(), ..plain })
            .but(ONE_ANSWER),
        line(22, "an object left out, or a replica behind", LISTING, Action::Omit)
            .takes(Takes::NextRun)
            .but("11 for delta, 38 for logs; nothing is listed in partitions"),
        line(23, "501 for a property", ALL, transient(501, "NotImplemented")).refused("501 NotImplemented"),
        line(31, "link to another host", ALL, Action::ForeignLink { origin: foreign() }).paged().refused("refused").but(ONE_ANSWER),
        line(31, "redirect to another host", ALL, Action::Redirect { to: format!("{}/v1.0/users", foreign()) }).refused("refused"),
        line(38, "an event left out", LOG, Action::Omit).takes(Takes::Resync).but("11 for delta, 22 for listings"),
        line(39, "skip token null", ALL, error(400, "UnknownError", "Invalid Skip Token, skip token is null", Retry::Missing))
            .further()
            .but(ONE_ANSWER),
    ]
}

fn foreign() -> String {
    "http://127.0.0.2:9".to_owned()
}

fn of_delta() -> Vec<Line> {
    let lost = |name, action| line(14, name, DELTA, action).later().but(ONLY_DELTA);
    let transient = |status, code: &str| error(status, code, "by fault", Retry::Missing);
    vec![
        line(9, "only what changed is told (return=minimal)", DELTA, Action::Minimal).always().later().but(ONLY_DELTA),
        line(11, "a change lost", DELTA, Action::Omit).later().takes(Takes::Resync).but("22 for listings, 38 for logs"),
        line(11, "an object left out of a first round", DELTA, Action::Omit).takes(Takes::Resync).but("as above"),
        lost("410 with Location", Action::Gone { location: true }),
        lost("410 without Location", Action::Gone { location: false }),
        lost("410, Location elsewhere (31)", Action::GoneForeign { origin: foreign() }),
        lost("SyncStateNotFound in capitals", transient(400, "SyncStateNotFound")),
        lost("resyncRequired", transient(400, "resyncRequired")),
        lost("steady state", error(400, "Request_BadRequest", "Sync must reach steady state within 30 days", Retry::Missing)),
        line(14, "page link 404", ALL, transient(404, "UnknownError")).further().but(ONE_ANSWER),
    ]
}

fn of_throttling() -> Vec<Line> {
    let transient = |status, code: &str| error(status, code, "by fault", Retry::Missing);
    let told = |scope: &str, share: &str| Action::Throttled { retry_after: seconds("0.2"), scope: scope.into(), share: share.into() };
    vec![
        line(26, "429, whole seconds", ALL, error(429, "TooManyRequests", "", seconds("1"))),
        line(26, "429, always one second", ALL, error(429, "TooManyRequests", "", seconds("1"))).times(2).row(|row| row.one_each = true),
        line(26, "429, decimal seconds", ALL, error(429, "TooManyRequests", "", seconds("0.128"))),
        line(26, "429, HTTP date", ALL, error(429, "TooManyRequests", "", Retry::Date(1))),
        line(26, "429, no Retry-After", ALL, transient(429, "TooManyRequests")),
        line(26, "429, headers of the tenant's limit", ALL, told("Tenant_Application/ReadWrite/app/tenant", "1.0")),
        line(26, "429, headers of the app's limit", ALL, told("Application/ReadWrite/app", "1.2")),
        line(26, "429 far below the limit", ALL, told("Tenant_Application/Read", "0.3")),
        line(26, "a spell that grows for who asks too early", ALL, Action::Spell { millis: 400 }).always().row(|row| row.at_most = 2),
        line(27, "429, UnknownError", ALL, transient(429, "UnknownError")),
        line(27, "429, plain text", ALL, Action::Plain { status: 429, text: "Too Many Requests".into(), retry_after: seconds("0.1") }),
        line(27, "429, no body", ALL, error(429, "", "", Retry::Missing)),
    ]
}

fn of_transport() -> Vec<Line> {
    let transient = |status, code: &str| error(status, code, "by fault", Retry::Missing);
    vec![
        line(28, "70 MiB of gzip", ALL, Action::Oversized { mebibytes: 70 }).row(|row| row.one_each = true),
        line(28, "hang past the client's time-out", ALL, Action::Hang { millis: 60_000 }).impatient(),
        line(28, "trickle past the client's time-out", ALL, Action::Trickle { millis: 60_000 }).impatient(),
        line(28, "hang within the time-out", ALL, Action::Hang { millis: 400 }),
        line(28, "trickle within the time-out", ALL, Action::Trickle { millis: 300 }),
        line(28, "500", ALL, transient(500, "Service_InternalServerError")),
        line(28, "502, no body", ALL, error(502, "", "", Retry::Missing)),
        line(28, "503", ALL, transient(503, "serviceNotAvailable")),
        line(28, "503, Retry-After", ALL, error(503, "serviceNotAvailable", "", seconds("0.1"))),
        line(28, "504 UnknownError", ALL, error(504, "UnknownError", "", Retry::Missing)),
        line(28, "509", ALL, transient(509, "BandwidthLimitExceeded")),
        line(28, "HTML, 200", ALL, Action::Html { status: 200 }),
        line(28, "HTML, 503", ALL, Action::Html { status: 503 }),
        line(28, "wrong Content-Type", ALL, Action::ContentType).always(),
        line(28, "reset in the body", ALL, Action::Reset),
        line(28, "truncated JSON", ALL, Action::Truncate),
        line(29, "400, no body", ALL, error(400, "", "", Retry::Missing)),
    ]
}

fn of_sign_in_and_licence() -> Vec<Line> {
    let transient = |status, code: &str| error(status, code, "by fault", Retry::Missing);
    let early = "IDX10222: Lifetime validation failed. The token is not yet valid.";
    let invalid = |message| error(401, "InvalidAuthenticationToken", message, Retry::Missing);
    vec![
        line(32, "401 in the middle of a chain", ALL, invalid("Access token has expired or is not yet valid.")),
        line(32, "the token expires in the middle of a chain", ALL, Action::Pass { seconds: 400 }).one_by_one(),
        line(32, "401, not yet valid, for good", ALL, invalid(early)).refused("this machine's clock"),
        line(32, "403 for good", ALL, transient(403, "Authorization_RequestDenied")).refused("grant the application permission"),
        line(34, "a claims challenge without cp1", ALL, Action::Challenge { claims: "eyJhY2Nlc3NfdG9rZW4iOnt9fQ==".into() }),
        line(42, "licence refused now and then", READ_AGAIN, error(403, REFUSES, "no premium license", Retry::Missing))
            .times(2)
            .only(LICENSED)
            .but("no delta needs a licence"),
        line(42, "licence refused after it has worked", READ_AGAIN, error(403, REFUSES, "no premium license", Retry::Missing))
            .later()
            .only(LICENSED)
            .refused("it has worked before")
            .but("no delta needs a licence"),
        line(42, "PIM refused now and then", LISTING, transient(400, "AadPremiumLicenseRequired"))
            .times(2)
            .only(PIM)
            .but("PIM is read by listings"),
        line(42, "PIM refused after it has worked", LISTING, transient(400, "AadPremiumLicenseRequired"))
            .later()
            .only(PIM)
            .refused("it has worked before")
            .but("PIM is read by listings"),
    ]
}
