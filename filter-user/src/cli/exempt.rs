//! `poolguard exempt`.

use api::{
    client::Client,
    last_use::Unused,
    requests::NewExemption,
    routes,
    status::{ListedExemption, Status},
};
use filter_user::args::Exempt;
use policy::{config::TemporaryExemption, instance::Instance};

use jiff::SignedDuration;

use super::{Failure, print, print_json, status::table};

pub(super) fn exempt(instance: &Instance, command: &Exempt) -> Result<(), Failure> {
    let client = |timeout: &SignedDuration| Client {
        instance,
        patience: *timeout,
    };
    match command {
        Exempt::Add(add) => {
            let new = NewExemption {
                prefix: add.prefix,
                ports: add.ports.clone(),
                smtp_out: add.smtp_out,
                expires: add.expires,
                reason: add.reason.clone(),
                ticket: add.ticket.clone(),
            };
            let added: ListedExemption = client(&add.timeout).post(routes::EXEMPTIONS, &new)?;
            match add.json {
                true => print_json(&added),
                false => print(&format!("{}\n", added.exemption)),
            }
        }
        Exempt::Remove { id, timeout, json } => {
            let path = routes::remove_exemption(*id);
            let removed: TemporaryExemption = client(timeout).post(&path, &())?;
            match json {
                true => print_json(&removed),
                false => print(&format!("removed: {removed}\n")),
            }
        }
        Exempt::List {
            unused: Some(days),
            timeout,
            json,
        } => {
            let unused: Unused = client(timeout).get(&routes::unused(*days))?;
            match json {
                true => print_json(&unused),
                false => print(&list_unused(&unused, *days)),
            }
        }
        Exempt::List {
            unused: None,
            timeout,
            json,
        } => {
            let status: Status = client(timeout).get(routes::STATUS)?;
            match json {
                true => print_json(&status.temporary),
                false => print(&list(&status.temporary)),
            }
        }
    }
}

fn list(exemptions: &[ListedExemption]) -> String {
    if exemptions.is_empty() {
        return "there is no temporary exemption\n".to_owned();
    }
    let mut rows = table(&[
        "ID",
        "PREFIX",
        "OPENS",
        "UNTIL",
        "LAST USED",
        "TICKET",
        "BY",
        "REASON",
    ]);
    for ListedExemption {
        exemption,
        ignored,
        last_use,
    } in exemptions
    {
        let ignored = ignored.iter().map(|why| format!(" (IGNORED: {why})"));
        rows.add_row([
            exemption.id.to_string(),
            exemption.prefix.to_string(),
            exemption.opens(),
            exemption.expires.to_string(),
            last_use.map_or_else(|| "-".to_owned(), |last_use| last_use.to_string()),
            exemption.ticket.clone().unwrap_or_default(),
            format!("uid {}", exemption.added_by),
            exemption.reason.clone() + &ignored.collect::<String>(),
        ]);
    }
    let lines = rows.lines();
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn list_unused(unused: &Unused, days: u32) -> String {
    if unused.total == 0 {
        return format!(
            "every exemption was used in the last {days} days, or is watched for less\n"
        );
    }
    let mut rows = table(&[
        "PREFIX",
        "LAST USED",
        "DAYS",
        "CUSTOMER",
        "TICKET",
        "TEMPORARY",
    ]);
    for exemption in &unused.exemptions {
        let temporary = exemption.temporary.iter().map(ToString::to_string);
        rows.add_row([
            exemption.prefix.to_string(),
            exemption.last_use.to_string(),
            exemption.last_use.unused_days.to_string(),
            exemption.customer.clone().unwrap_or_default(),
            exemption.ticket.clone().unwrap_or_default(),
            temporary.collect::<Vec<_>>().join(", "),
        ]);
    }
    let lines = rows.lines();
    let mut text: String = lines.map(|line| format!("{}\n", line.trim_end())).collect();
    let more = unused.total - unused.exemptions.len() as u64;
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text
}
