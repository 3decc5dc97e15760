//! What is said of an instance whose controller does not run, or does not answer: what the
//! kernel still does for it.

use api::client::ClientError;
use dataplane::LeftExit;
use filter_user::controller::{self, Left, NotedInForce};
use jiff::Timestamp;
use policy::{config::shown, instance::Instance};
use serde::Serialize;
use serde_json::json;

use super::{Failure, print, print_json, status::table};

/// Said of an interface that has the program, and is not one of those that are here, where
/// nothing says in which namespace it is.
const ELSEWHERE: &str = "no device of this network namespace";

/// `poolguard status` without an answer. What it prints is true of the kernel; the exit
/// status is that of the missing answer.
pub(super) fn status(instance: &Instance, error: ClientError, json: bool) -> Result<(), Failure> {
    let process = controller::controller_process(instance);
    let left = controller::left_behind(instance);
    let failure = Failure::from(error);
    if json {
        let (left, problem) = match &left {
            Ok(left) => (left.as_ref().map(Shown::of), None),
            Err(error) => (None, Some(error.to_string())),
        };
        print_json(&json!({
            "error": failure.in_json(),
            "process": process,
            "left": left,
            "problem": problem,
        }))?;
    } else {
        let controller = match process {
            None => "NO CONTROLLER".to_owned(),
            Some(process) => {
                format!("NO ANSWER from the controller, which runs as process {process}")
            }
        };
        let kernel = match &left {
            Ok(None) => format!("{}\n", nothing_left()),
            Ok(Some(left)) => render(&Shown::of(left), process.is_some()),
            Err(error) => format!("what the kernel still does cannot be told: {error}\n"),
        };
        print(&format!("{controller}: {kernel}"))?;
    }
    Err(Failure::Answered(Box::new(failure)))
}

/// What it means for traffic that an instance did not start.
pub(super) fn consequence(instance: &Instance) -> String {
    match controller::left_behind(instance) {
        Ok(left) => {
            let left = left.as_ref().map(Shown::of);
            match left.filter(|left| !left.attached().is_empty()) {
                None => "nothing is enforced".to_owned(),
                Some(left) => format!("what an earlier run left attached {}", left.goes_on()),
            }
        }
        Err(_) => "what an earlier run left attached, if anything, goes on filtering".to_owned(),
    }
}

fn nothing_left() -> &'static str {
    "nothing is filtered: this instance has left nothing in the kernel"
}

/// What an instance has left, as it is printed.
#[derive(Debug, Serialize)]
struct Shown {
    generation: Option<u64>,
    #[serde(flatten)]
    in_force: Option<NotedInForce>,
    interfaces: Vec<Interface>,
}

/// An interface of the generation in force, or one that still has a program of another.
#[derive(Debug, Serialize)]
struct Interface {
    name: String,
    attached: bool,
    /// What it is called in this network namespace, if it is here.
    device: Option<String>,
    /// Where it is otherwise.
    elsewhere: Option<String>,
    mode: Option<&'static str>,
    /// When the program there was loaded.
    since: Option<Timestamp>,
    /// Whether that program is of the generation that is said to be in force.
    of_this_generation: bool,
    /// What is left at its way out; none where nothing is.
    egress: Option<WayOut>,
}

/// A way out that still has a program.
#[derive(Debug, Serialize)]
struct WayOut {
    /// How it is attached: `tcx` or `clsact`.
    way: &'static str,
    /// Whether that program is of the generation that is said to be in force.
    of_this_generation: bool,
}

impl From<&LeftExit> for WayOut {
    fn from(exit: &LeftExit) -> Self {
        Self {
            way: exit.way.name(),
            of_this_generation: exit.is_as_noted,
        }
    }
}

impl Shown {
    fn of(left: &Left) -> Self {
        let elsewhere = left.namespace.map_or_else(
            || ELSEWHERE.to_owned(),
            |namespace| format!("in network namespace {namespace}"),
        );
        let links = left.links.iter().map(|link| Interface {
            name: link.serves.clone(),
            attached: true,
            device: link.device.clone(),
            elsewhere: link.device.is_none().then(|| elsewhere.clone()),
            mode: Some(link.mode.name()),
            since: link.since,
            of_this_generation: link.is_as_noted,
            egress: left
                .exits
                .iter()
                .find(|exit| exit.serves == link.serves && exit.device == link.device)
                .map(WayOut::from),
        });
        let has_link = |exit: &&LeftExit| {
            let mut links = left.links.iter();
            links.any(|link| link.serves == exit.serves && link.device == exit.device)
        };
        let exits = left.exits.iter().filter(|exit| !has_link(exit));
        let exits = exits.map(|exit| Interface {
            device: exit.device.clone(),
            elsewhere: exit.device.is_none().then(|| elsewhere.clone()),
            egress: Some(exit.into()),
            ..Interface::unattached(&exit.serves)
        });
        let mut interfaces: Vec<_> = links.chain(exits).collect();
        let is_off = |name: &&String| interfaces.iter().all(|known| known.name != **name);
        let off = left.interfaces.iter().filter(is_off);
        let off: Vec<_> = off.map(|name| Interface::unattached(name)).collect();
        interfaces.extend(off);
        interfaces.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            generation: left.generation,
            in_force: left.in_force.clone(),
            interfaces,
        }
    }

    /// Where the program decides: at ways out by themselves where it does so nowhere else.
    fn attached(&self) -> Vec<String> {
        let places = self.interfaces.iter().filter_map(|interface| {
            match (interface.attached, &interface.egress) {
                (true, _) => Some(interface.called()),
                (false, Some(_)) => Some(format!("the way out of {}", interface.called())),
                (false, None) => None,
            }
        });
        places.collect()
    }

    /// The ways out at which it should, of interfaces that are here and filtered otherwise.
    fn open_ways_out(&self) -> Vec<String> {
        let wanted = |interface: &&Interface| {
            let mut noted = self.in_force.iter();
            noted.any(|noted| noted.filtered_ways_out.contains(&interface.name))
        };
        let open = self
            .interfaces
            .iter()
            .filter(|known| known.attached && known.device.is_some() && known.egress.is_none())
            .filter(wanted);
        open.map(Interface::called).collect()
    }

    /// Where it should and does not.
    fn missing(&self) -> Vec<&Interface> {
        let interfaces = self.interfaces.iter();
        interfaces.filter(|interface| !interface.attached).collect()
    }

    /// What goes on by itself, and where.
    fn goes_on(&self) -> String {
        let on = self.attached().join(", ");
        match &self.in_force {
            Some(noted) if noted.monitor => {
                format!("goes on counting on {on} (MONITOR MODE: nothing is dropped)")
            }
            Some(noted) if noted.monitored_pools > 0 => format!(
                "goes on filtering on {on} (MONITOR MODE in {} of {} pools)",
                noted.monitored_pools, noted.pools
            ),
            _ => format!("goes on filtering on {on}"),
        }
    }
}

impl Interface {
    /// One on which nothing is left.
    fn unattached(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            attached: false,
            device: None,
            elsewhere: None,
            mode: None,
            since: None,
            of_this_generation: false,
            egress: None,
        }
    }

    fn called(&self) -> String {
        match (&self.device, &self.elsewhere) {
            (Some(device), _) => device.clone(),
            (None, Some(elsewhere)) => format!("{} ({elsewhere})", self.name),
            (None, None) => self.name.clone(),
        }
    }

    /// What else is to be said of it.
    fn remark(&self) -> String {
        let mut remarks = Vec::new();
        match &self.device {
            Some(device) if *device != self.name => remarks.push(format!("is called {device} now")),
            Some(_) => {}
            None => remarks.extend(self.elsewhere.clone()),
        }
        if self.attached && !self.of_this_generation {
            remarks.push("decides by another generation".to_owned());
        }
        let exit = self.egress.as_ref();
        if exit.is_some_and(|exit| !exit.of_this_generation) {
            remarks.push("decides on the way out by another generation".to_owned());
        }
        remarks.join("; ")
    }
}

fn render(left: &Shown, is_running: bool) -> String {
    let (on, off) = (left.attached(), left.missing());
    let mut text = match on.is_empty() {
        true => "nothing is filtered".to_owned(),
        false => format!("what is attached {}", left.goes_on()),
    };
    let by_wire = |interface: &&Interface| {
        let mut noted = left.in_force.iter();
        noted.any(|noted| noted.by_wire && !noted.beside_wires.contains(&interface.name))
    };
    let (cut, beside): (Vec<_>, Vec<_>) = off.into_iter().partition(by_wire);
    for (interfaces, forwarding) in [(cut, ", nor forwarding by wire"), (beside, "")] {
        if !interfaces.is_empty() {
            let names: Vec<_> = interfaces.into_iter().map(Interface::called).collect();
            let names = names.join(", ");
            text = format!("{text}; NOT ENFORCING{forwarding} on {names}");
        }
    }
    let open = left.open_ways_out();
    if !open.is_empty() {
        let names = open.join(", ");
        text = format!("{text}; NOT JUDGED on the way out of {names}");
    }
    text.push('\n');
    let generation = left.generation.map(|number| format!("generation {number}"));
    match (&left.in_force, generation) {
        (Some(noted), Some(generation)) => text.push_str(&format!(
            "{generation} of configuration {}, in force since {:.3}, hash {}\n",
            shown(&noted.config_file),
            noted.since,
            noted.config_hash,
        )),
        (None, Some(generation)) => text.push_str(&format!(
            "{generation}; an older poolguard, which noted nothing else of it\n"
        )),
        (_, None) => text.push_str("which generation that is cannot be told: no notes are left\n"),
    }
    if !is_running {
        text.push_str(
            "until a controller runs, no exemption ends, no interface that comes (back) is attached \
             to, and /metrics is not served\n",
        );
    }
    let mut rows = table(&[
        "INTERFACE",
        "MODE",
        "ATTACHED",
        "EGRESS",
        "PROGRAM LOADED",
        "",
    ]);
    for interface in &left.interfaces {
        let since = interface.since.map(|since| format!("{since:.3}"));
        rows.add_row([
            interface.name.clone(),
            interface.mode.unwrap_or_default().to_owned(),
            if interface.attached { "yes" } else { "NO" }.to_owned(),
            match &interface.egress {
                Some(exit) => exit.way.to_owned(),
                None if open.contains(&interface.called()) => "NO".to_owned(),
                None => String::new(),
            },
            since.unwrap_or_default(),
            interface.remark(),
        ]);
    }
    text.push('\n');
    for line in rows.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
