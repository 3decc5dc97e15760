//! A provider's box in memory: files and a state directory on disk, interfaces and a
//! clock that tests move.

use std::{
    collections::BTreeSet,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use api::{
    last_use::Unused,
    requests::{NewExemption, ReloadOptions},
    status::Status,
};
use dataplane::memory::{Failing, Machine, Memory};
use filter_common::{Address, Protocol, Settings, Tables as _};
use filter_user::{
    controller::{self, AskedBy, Backoff, Clock, Controller, Hand, StartOptions},
    disk,
    state::StateDirectory,
};
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use policy::{
    compile::{Compiled, compile},
    config::{Config, TemporaryExemption},
    explain::Packet,
    host::HostTables,
    intent::Intent,
};

/// What the configuration files say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Files {
    /// A dynamic and a static pool, with one customer.
    One,
    /// Another customer beside it.
    Two,
    /// A customer whose exemption ends on 2026-06-15 at 13:00, an hour after the start.
    Passing,
    /// Nothing is dropped any more, which is too much of a change.
    TooMuch,
    /// Nonsense.
    Wrong,
    /// As `One`, without a limit on changes.
    Unlimited,
    /// As `One`, and what leaves toward customers is not judged.
    OpenOut,
}

impl Files {
    pub(crate) const ALL: [Self; 5] = [
        Self::One,
        Self::Two,
        Self::Passing,
        Self::TooMuch,
        Self::Wrong,
    ];

    /// And those that only single tests put into force.
    const KNOWN: [Self; 7] = [
        Self::One,
        Self::Two,
        Self::Passing,
        Self::TooMuch,
        Self::Wrong,
        Self::Unlimited,
        Self::OpenOut,
    ];

    fn text(self, listen: &str) -> String {
        let max_change = match self {
            Self::Unlimited => "100%",
            _ => "10%",
        };
        let enforcement = match self {
            Self::TooMuch => "enforcement = \"monitor\"\n",
            _ => "",
        };
        let more = match self {
            Self::Two => {
                "[[customer]]\nname = \"globex\"\nprefixes = [\"203.0.113.64/30\"]\n\
                 allow_inbound = [443]\n"
            }
            Self::Passing => {
                "[[customer]]\nname = \"passing\"\nprefixes = [\"203.0.113.96/30\"]\n\
                 allow_inbound = [80]\nexpires = 2026-06-15T13:00:00Z\n"
            }
            Self::Wrong => "nonsense = 1\n",
            _ => "",
        };
        let egress = match self {
            Self::OpenOut => "egress = \"off\"",
            _ => "",
        };
        format!(
            r#"{enforcement}max_change = "{max_change}"
[[interface]]
name = "eth0"
role = "network"
[[interface]]
name = "eth1"
role = "customer"
{egress}
[metrics]
listen = "{listen}"
[ports]
forbidden = [25, 80, 443, "8000-8080"]
[mail]
servers = ["192.0.2.25"]
[[pool]]
name = "dialup"
kind = "dynamic"
prefixes = ["198.51.100.0/24"]
[[pool]]
name = "business"
kind = "static"
prefixes = ["203.0.113.0/24"]
[[customer]]
name = "acme"
prefixes = ["203.0.113.8/29"]
allow_inbound = [25]
{more}"#
        )
    }
}

/// The ports that exemptions are for.
pub(crate) const PORTS: [&str; 6] = ["25", "80", "443", "8010-8020", "8000-8042/udp", "8000-8080"];
const INTERFACES: [&str; 2] = ["eth0", "eth1"];
/// As long as the daemon waits before it tries again.
const NEXT_EXPIRY: Duration = Duration::from_secs(60);

pub(crate) fn exemption(address: u8, ports: &str, now: Timestamp, seconds: u64) -> NewExemption {
    NewExemption {
        prefix: format!("203.0.113.{}/32", 100 + address).parse().unwrap(),
        ports: vec![ports.parse().unwrap()],
        smtp_out: false,
        expires: now + SignedDuration::from_secs(seconds as i64),
        reason: "a test".to_owned(),
        ticket: None,
    }
}

pub(crate) struct Site {
    directory: PathBuf,
    machine: Machine,
    clock: Clock,
    hand: Hand,
    configs: Vec<(Files, Arc<Config>)>,
    listen: String,
    controller: Option<Controller<Memory>>,
    retry_roll_back: Option<Duration>,
    roll_back_fails: Backoff,
    retry_expiry: Option<Duration>,
    expected: Expected,
}

/// What has to be in force.
struct Expected {
    on_disk: Files,
    in_force: Files,
    /// What comes back after a trial.
    previous: Option<Files>,
    /// Everything that somebody asked for and got.
    accepted: BTreeSet<Files>,
    /// The temporary exemptions that were not taken back, and when each ends.
    temporary: Vec<(u64, Timestamp)>,
    /// What else may be in force where a change is half done: what was to be.
    attempted: Vec<Compiled>,
    /// How many operations had failed when nothing was half done.
    failures: usize,
}

impl Site {
    /// With these files, and no controller.
    pub(crate) fn new(files: Files) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = directory.join(format!("controller-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        // Its metrics have a loopback address of their own, beside other processes' too.
        let [_, _, a, b] = std::process::id().to_be_bytes();
        let (c, port) = (number % 250 + 1, 9469 + number / 250);
        let (clock, hand) = Clock::manual("2026-06-15T12:00:00Z".parse().unwrap());
        let mut site = Self {
            directory,
            machine: Machine::with(&INTERFACES),
            clock,
            hand,
            configs: Vec::new(),
            listen: format!("127.{a}.{b}.{c}:{port}"),
            controller: None,
            retry_roll_back: None,
            roll_back_fails: Backoff::default(),
            retry_expiry: None,
            expected: Expected {
                on_disk: files,
                in_force: files,
                previous: None,
                accepted: BTreeSet::new(),
                temporary: Vec::new(),
                attempted: Vec::new(),
                failures: 0,
            },
        };
        for files in Files::KNOWN {
            site.edit(files);
            if let Ok(loaded) = disk::load(&site.config_file(), site.now()) {
                site.configs.push((files, loaded.config));
            }
        }
        site.edit(files);
        site
    }

    /// With these files in force.
    pub(crate) fn started(files: Files) -> Self {
        let mut site = Self::new(files);
        site.start(StartOptions::default());
        assert_eq!(site.in_force(), files);
        site
    }

    fn config_file(&self) -> PathBuf {
        self.directory.join("poolguard.toml")
    }

    fn state(&self) -> StateDirectory {
        StateDirectory::new(&self.directory.join("state"), "main")
    }

    fn controller(&mut self) -> Option<&mut Controller<Memory>> {
        self.controller.as_mut()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn edit(&mut self, files: Files) {
        fs::write(self.config_file(), files.text(&self.listen)).unwrap();
        self.expected.on_disk = files;
    }

    /// Starts a controller, as long as none runs.
    pub(crate) fn start(&mut self, options: StartOptions) {
        assert!(self.controller.is_none());
        let site = controller::Site {
            instance: "main".to_owned(),
            config_file: self.config_file(),
            state: self.state(),
            clock: self.clock.clone(),
            patience: controller::PATIENCE,
        };
        let open = || Memory::open(&self.machine);
        let Ok((controller, _listener)) = Controller::start(site, open, options) else {
            return;
        };
        self.controller = Some(controller);
        (self.retry_roll_back, self.retry_expiry) = (None, None);
        let (on_disk, in_force) = (self.expected.on_disk, self.in_force());
        let expected = &mut self.expected;
        if expected.accepted.is_empty() || options.force {
            assert_eq!(in_force, on_disk);
            expected.accepted.insert(on_disk);
        }
        let is_refused = matches!(on_disk, Files::Wrong | Files::TooMuch);
        assert!(
            expected.accepted.contains(&in_force) || in_force == on_disk && !is_refused,
            "{in_force:?} was never asked for, or refused"
        );
        expected.accepted.insert(in_force);
        if in_force != expected.in_force || !self.is_on_trial() {
            self.expected.previous = None;
        }
        self.expected.in_force = in_force;
    }

    pub(crate) fn kill(&mut self) {
        self.controller = None;
    }

    pub(crate) fn restart(&mut self, options: StartOptions) {
        self.kill();
        self.start(options);
    }

    pub(crate) fn detach(&mut self) {
        let controller = self.controller.take().unwrap();
        controller.give_up_trial().unwrap();
        controller.detach().unwrap();
    }

    pub(crate) fn reload(&mut self, options: ReloadOptions) -> bool {
        let Some(controller) = self.controller() else {
            return false;
        };
        let (outcome, _listener) = controller.reload(options, AskedBy::User(0));
        if outcome.successful {
            self.retry_expiry = None;
            let expected = &mut self.expected;
            let before = expected.previous.unwrap_or(expected.in_force);
            expected.previous = options.confirm.is_some().then_some(before);
            expected.in_force = expected.on_disk;
            expected.accepted.insert(expected.on_disk);
        }
        outcome.successful
    }

    pub(crate) fn confirm(&mut self) -> bool {
        let confirmed = self.controller().is_some_and(|c| c.confirm().is_ok());
        if confirmed {
            self.expected.previous = None;
        }
        confirmed
    }

    /// Its number, if it was given.
    pub(crate) fn exempt(&mut self, new: NewExemption) -> Option<u64> {
        let expires = new.expires;
        let attempted = self.with(&new);
        let Ok(given) = self.controller()?.exempt(new, 0) else {
            self.attempted(attempted);
            return None;
        };
        let temporary = &mut self.expected.temporary;
        temporary.push((given.exemption.id, expires));
        Some(given.exemption.id)
    }

    /// How many classes of ports the tables in force have.
    pub(crate) fn port_classes(&self) -> usize {
        self.machine.tables(INTERFACES[0]).unwrap().ports.count()
    }

    /// Why an exemption is not given.
    pub(crate) fn refused(&mut self, new: NewExemption) -> String {
        let attempted = self.with(&new);
        let controller = self.controller().unwrap();
        let error = controller.exempt(new, 0).unwrap_err();
        self.attempted(attempted);
        error.to_string()
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let Some(controller) = &self.controller else {
            return false;
        };
        let mut attempted = controller.intent().clone();
        attempted.temporary.retain(|e| e.id != id);
        let removed = self.controller().unwrap().remove_exemption(id, 0).is_ok();
        match removed {
            true => {
                let temporary = &mut self.expected.temporary;
                temporary.retain(|(other, _)| *other != id);
            }
            false => self.attempted(Some(attempted)),
        }
        removed
    }

    /// All that would be in force with this exemption.
    fn with(&self, new: &NewExemption) -> Option<Intent> {
        let mut intent = self.controller.as_ref()?.intent().clone();
        intent.temporary.push(TemporaryExemption {
            id: u64::MAX,
            prefix: new.prefix,
            ports: new.ports.clone(),
            smtp_out: new.smtp_out,
            expires: new.expires,
            reason: new.reason.clone(),
            ticket: new.ticket.clone(),
            added: self.now(),
            added_by: 0,
        });
        Some(intent)
    }

    /// Takes note that something was to be in force from now on, and is not.
    fn attempted(&mut self, intent: Option<Intent>) {
        let compiled = intent.and_then(|intent| compile(&intent, self.now()).ok());
        self.expected.attempted.extend(compiled);
    }

    /// Does what the daemon does when an exemption ends.
    pub(crate) fn catch_up(&mut self) {
        let passed = self.clock.passed();
        let controller = self.controller.as_mut().unwrap();
        let caught_up = controller.catch_up().is_ok();
        let intent = controller.intent().clone();
        if !caught_up {
            self.attempted(Some(intent));
        }
        self.retry_expiry = (!caught_up).then_some(passed + NEXT_EXPIRY);
    }

    /// The prefixes in which a change is half done, as `status` says.
    pub(crate) fn half_done(&self) -> Vec<String> {
        let half_done = self.status().half_done;
        half_done.iter().map(ToString::to_string).collect()
    }

    /// Lets time pass, and does what the daemon does when something is due.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.clock.passed() + time;
        loop {
            let passed = self.clock.passed();
            let next = self.next_due().filter(|due| *due <= end);
            self.hand
                .advance(next.unwrap_or(end).saturating_sub(passed));
            if next.is_none() {
                // As it does every few seconds.
                return self.reconcile();
            }
            self.do_what_is_due();
        }
    }

    /// Sets the clock to so much later, or earlier. The daemon hears of it at once.
    pub(crate) fn set_clock(&mut self, later: SignedDuration) {
        self.hand.set(self.now() + later);
        self.retry_expiry = None;
        if let Some(controller) = self.controller() {
            controller.clock_was_set();
        }
        self.do_what_is_due();
    }

    /// Lets so many days pass, in each hour of which the daemon looks.
    pub(crate) fn wait_for_days(&mut self, days: u64) {
        for _ in 0..days * 24 {
            self.wait(Duration::from_secs(3_600));
            if let Some(controller) = self.controller() {
                controller.forget_exemptions();
            }
        }
    }

    /// What the state directory keeps of temporary exemptions.
    pub(crate) fn kept_exemptions(&self) -> Vec<u64> {
        let kept = controller::exemptions::read(&self.state()).unwrap();
        kept.iter().map(|exemption| exemption.id).collect()
    }

    /// What becomes of TCP from the Internet, where the program decides by itself.
    pub(crate) fn receive(&self, interface: &str, destination: &str, port: u16) -> &'static str {
        self.decided(
            interface,
            "192.0.2.200:40000",
            &format!("{destination}:{port}"),
        )
    }

    /// What becomes of mail.
    pub(crate) fn send(&self, interface: &str, source: &str, destination: &str) -> &'static str {
        self.decided(
            interface,
            &format!("{source}:40000"),
            &format!("{destination}:25"),
        )
    }

    fn decided(&self, interface: &str, source: &str, destination: &str) -> &'static str {
        let packet = Packet::parse("tcp", source, destination, "syn").unwrap();
        let verdict = self.machine.receive(interface, &packet.frame().unwrap());
        verdict.unwrap().outcome.name()
    }

    /// Has the controller look at what was used, as the daemon does every few seconds.
    pub(crate) fn note_uses(&mut self) {
        self.controller.as_mut().unwrap().note_uses();
    }

    /// When the exemption of a prefix was used.
    pub(crate) fn last_used(&self, prefix: &str) -> Option<Timestamp> {
        let prefix: IpNet = prefix.parse().unwrap();
        let uses = self
            .controller
            .as_ref()
            .unwrap()
            .uses_around(&[prefix.addr()]);
        let of_it = uses.into_iter().find(|(around, _)| *around == prefix);
        of_it.and_then(|(_, last_use)| last_use.last_used)
    }

    /// Those that were not used for so many days.
    pub(crate) fn unused(&self, days: u32) -> Unused {
        self.controller.as_ref().unwrap().unused(days)
    }

    /// Ends the controller, and leaves the filter.
    pub(crate) fn stop(&mut self) {
        self.controller.as_mut().unwrap().leave();
        self.kill();
    }

    /// Has the controller look after what is kept.
    pub(crate) fn look_after_state(&mut self) {
        self.controller.as_mut().unwrap().look_after_state();
    }

    /// Lets time pass while nobody does anything.
    pub(crate) fn pass(&self, time: Duration) {
        self.hand.advance(time);
    }

    fn next_due(&mut self) -> Option<Duration> {
        let (now, passed) = (self.clock.now(), self.clock.passed());
        let (retry_roll_back, retry_expiry) = (self.retry_roll_back, self.retry_expiry);
        let controller = self.controller()?;
        let roll_back = controller.trial_left().map(|left| passed + left);
        let roll_back = roll_back.map(|due| due.max(retry_roll_back.unwrap_or_default()));
        let expiry = match controller.is_behind() {
            true => Some(now),
            false => controller.next_expiry(),
        };
        let expiry = expiry.map(|at| {
            let left = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            (passed + left).max(retry_expiry.unwrap_or_default())
        });
        [roll_back, expiry].into_iter().flatten().min()
    }

    fn do_what_is_due(&mut self) {
        let passed = self.clock.passed();
        let is_over = |retry: Option<Duration>| retry.is_none_or(|at| at <= passed);
        let (roll_back, expiry) = (is_over(self.retry_roll_back), is_over(self.retry_expiry));
        let Some(controller) = self.controller() else {
            return;
        };
        if roll_back && controller.trial_left().is_some_and(|left| left.is_zero()) {
            let went_back = controller.roll_back().is_ok();
            self.retry_roll_back = match went_back {
                true => None,
                false => Some(passed + self.roll_back_fails.failed()),
            };
            if went_back {
                let expected = &mut self.expected;
                expected.in_force = expected.previous.take().unwrap();
            }
            return;
        }
        if expiry && controller.is_behind() {
            self.catch_up();
        }
    }

    pub(crate) fn unplug(&mut self, interface: usize) {
        self.machine.unplug(INTERFACES[interface]);
        self.reconcile();
    }

    pub(crate) fn plug_in(&mut self, interface: usize) {
        self.machine.plug_in(INTERFACES[interface]);
        self.reconcile();
    }

    fn reconcile(&mut self) {
        if let Some(controller) = self.controller() {
            controller.reconcile();
            controller.look_after_state();
        }
    }

    /// As often as something happens on the network.
    pub(crate) fn look(&mut self) {
        self.reconcile();
    }

    pub(crate) fn fail_after(&mut self, operations: usize, failing: Failing) {
        self.machine.fail_after(operations, failing);
    }

    /// Whether nothing has failed yet of what was to.
    pub(crate) fn repair(&mut self) -> bool {
        self.machine.repair()
    }

    /// Whether what is written to the state directory is refused: there is a directory
    /// where each new file would be.
    pub(crate) fn set_disk_full(&mut self, is_full: bool) {
        for name in [
            "exemptions",
            "unconfirmed",
            "confirmed",
            "on-trial",
            "refused",
        ] {
            let in_the_way = self.state().file(name).with_extension("new");
            if is_full {
                fs::create_dir_all(&in_the_way).unwrap();
            } else if in_the_way.is_dir() {
                fs::remove_dir(&in_the_way).unwrap();
            }
        }
    }

    fn intent(&self) -> &Intent {
        self.controller.as_ref().unwrap().intent()
    }

    pub(crate) fn in_force(&self) -> Files {
        let config = &self.intent().config;
        let mut known = self.configs.iter();
        let known = known.find(|(_, known)| known == config);
        known
            .map(|(files, _)| *files)
            .expect("something that nobody wrote is in force")
    }

    /// The numbers of the temporary exemptions in force.
    pub(crate) fn temporary(&self) -> Vec<u64> {
        let as_of = self.controller.as_ref().unwrap().as_of();
        let temporary = self.intent().temporary.iter();
        let holding = temporary.filter(|e| !e.is_expired(as_of));
        holding.map(|e| e.id).collect()
    }

    /// How many addresses of customers are exempted, as `status` says.
    pub(crate) fn exempted(&self) -> u64 {
        let controller = self.controller.as_ref().unwrap();
        let (_, status) = controller.shared().latest().read().unwrap();
        status.exemptions.ipv4
    }

    fn is_on_trial(&self) -> bool {
        let controller = self.controller.as_ref();
        controller.is_some_and(|controller| controller.trial_left().is_some())
    }

    pub(crate) fn is_running(&self) -> bool {
        self.controller.is_some()
    }

    pub(crate) fn status(&self) -> Status {
        let controller = self.controller.as_ref().unwrap();
        let (_, status) = controller.shared().latest().read().unwrap();
        status
    }

    pub(crate) fn is_on_last_good(&self) -> bool {
        self.status().last_good.is_some()
    }

    /// A file of the state directory.
    pub(crate) fn kept(&self, name: &str) -> PathBuf {
        self.state().file(name)
    }

    /// Which interfaces have the filter.
    pub(crate) fn enforcing(&self) -> [bool; 2] {
        INTERFACES.map(|interface| self.machine.tables(interface).is_some())
    }

    /// That what is in force is what has to be, and as a whole.
    pub(crate) fn check_whole(&mut self) {
        self.check();
        if self.is_running() {
            assert_eq!(self.half_done(), [""; 0]);
        }
    }

    /// That what is in force is what has to be, on each interface that has the filter; and
    /// that where a change is said to be half done, each address is decided as it has to be
    /// or as it was to be.
    pub(crate) fn check(&mut self) {
        let failures = self.machine.failures();
        match self.is_running() && !self.half_done().is_empty() {
            // What changes, what was to take its place, and taking back what had changed.
            true => assert!(
                failures - self.expected.failures >= 3,
                "it was not taken back"
            ),
            false => {
                self.expected.failures = failures;
                self.expected.attempted.clear();
            }
        }
        let Some(controller) = &self.controller else {
            return;
        };
        let expected = &self.expected;
        assert_eq!(self.in_force(), expected.in_force);
        let as_of = controller.as_of();
        let temporary = expected.temporary.iter();
        let holding = temporary.filter(|(_, expires)| *expires > as_of);
        let numbers: Vec<_> = holding.map(|(id, _)| *id).collect();
        assert_eq!(self.temporary(), numbers);
        let kept = self.intent().temporary.iter().map(|e| e.id);
        assert!(kept.eq(expected.temporary.iter().map(|(id, _)| *id)));
        assert_eq!(self.is_on_trial(), expected.previous.is_some());
        // What has expired still holds where the tables could not be changed.
        let wanted = compile(controller.intent(), as_of).unwrap();
        let half_done = self.status().half_done;
        for interface in controller.shared().latest().interfaces() {
            // One that could not go over to other tables is said to be so.
            let tables = self.machine.tables(&interface.name);
            if let (Some(tables), None) = (tables, interface.problem) {
                assert_same(&tables, &wanted, &half_done, &expected.attempted);
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.directory).unwrap();
        }
    }
}

/// Ports that the configurations name and neighbours of them, some within ranges.
const COMPARED: [u16; 10] = [24, 25, 80, 443, 1023, 1024, 8000, 8042, 8080, 8081];

/// That both decide alike, whatever their lines and numbers are, and in however many
/// classes they have ports that are treated alike. What is `half_done` may be decided as was
/// `attempted`.
fn assert_same(is: &Compiled, wanted: &Compiled, half_done: &[IpNet], attempted: &[Compiled]) {
    let settings = |compiled: &Compiled| Settings {
        mail_ports: 0,
        high_ports: 0,
        ..compiled.settings
    };
    assert_eq!(settings(is), settings(wanted));
    let both = [is, wanted];
    let is_in = |compiled: &Compiled, port, mask| compiled.ports.class(port).is_in(mask);
    for port in COMPARED {
        let [mail, wanted_mail] = both.map(|c| is_in(c, port, c.settings.mail_ports));
        let [high, wanted_high] = both.map(|c| is_in(c, port, c.settings.high_ports));
        assert_eq!((mail, high), (wanted_mail, wanted_high), "{port}");
    }
    let treated = |compiled: &Compiled, address: IpAddr| {
        let tables = HostTables::new(compiled);
        let policy = tables.policy_of(Address::from(address));
        let each = COMPARED
            .into_iter()
            .flat_map(|port| Protocol::ALL.map(|p| (port, p)));
        let each = each.map(|(port, protocol)| {
            let class = compiled.ports.class(port);
            (
                policy.forbids(protocol, class),
                policy.exempts(protocol, class),
            )
        });
        (policy.pool, policy.flags, each.collect::<Vec<_>>())
    };
    for last in 0..=u8::MAX {
        for network in [[203, 0, 113], [198, 51, 100], [192, 0, 2]] {
            let [a, b, c] = network;
            let address = IpAddr::from([a, b, c, last]);
            let is = treated(is, address);
            let is_half_done = half_done.iter().any(|prefix| prefix.contains(&address));
            let mut attempted = attempted.iter().filter(|_| is_half_done);
            if !attempted.any(|attempted| is == treated(attempted, address)) {
                assert_eq!(is, treated(wanted, address), "{address}");
            }
        }
    }
}
