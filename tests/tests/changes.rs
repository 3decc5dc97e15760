//! What changes while the filter runs, on the real binary: what `diff` shows,
//! how much a reload may do, exemptions that are given for a while, and
//! configurations that go back by themselves.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{fs, process::Output};

use jiff::{SignedDuration, Timestamp};
use lab::{CONFIG, Machine, Port, last_line, metric};
use nix::sys::signal::{Signal, kill};
use poolguard_tests::frames::tcp;
use serde_json::{Value, json};

/// More customers than may always change at once.
fn large(length: u8) -> String {
    format!(
        "{CONFIG}[[pool]]\nname = \"large\"\nkind = \"dynamic\"\nprefixes = [\"10.0.0.0/{length}\"]\n"
    )
}

/// With a pool whose customers can be exempted.
fn business() -> String {
    format!(
        "{CONFIG}[[pool]]\nname = \"business\"\nkind = \"static\"\nprefixes = [\"203.0.113.0/24\"]\n"
    )
}

/// A machine with a configuration, and a directory for its state.
fn machine(config: &str) -> Machine {
    let machine = Machine::new();
    machine.configure(config);
    machine
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Temporary exemptions as they were given. When they were used is looked at once a minute,
/// and is not theirs to keep: `last_use` has tests of its own.
fn temporary(listed: &Value) -> Value {
    let mut listed = listed.clone();
    for exemption in listed.as_array_mut().unwrap() {
        exemption
            .as_object_mut()
            .unwrap()
            .remove("last_use")
            .unwrap();
    }
    listed
}

/// Runs a command that has to succeed, and gives back what it prints.
fn done(machine: &Machine, words: &str) -> String {
    let output = machine.poolguard(words);
    assert_eq!(output.status.code(), Some(0), "{words}: {output:?}");
    stdout(&output)
}

/// Runs a command that has to fail, and gives back why it did.
fn refused(machine: &Machine, words: &str) -> String {
    let output = machine.poolguard(words);
    assert_eq!(output.status.code(), Some(1), "{words}: {output:?}");
    last_line(&output)
}

/// What `/metrics` says of one without labels.
fn gauge(machine: &Machine, name: &str) -> u64 {
    metric(&machine.get("/metrics").1, &format!("{name} "))
}

#[test]
fn diff_shows_what_a_reload_would_change() {
    let machine = machine(&large(22));
    let running = machine.start();
    assert_eq!(done(&machine, "diff"), "nothing would change\n");

    machine.configure(&large(23));
    let output = machine.poolguard("diff");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        stdout(&output),
        "- pool large (dynamic) 10.0.0.0/22: 1024 addresses\n\
         + pool large (dynamic) 10.0.0.0/23: 512 addresses\n\
         \n\
         opened: 512 IPv4 addresses, 40% of the customers' 1280\n\
         closed: nothing\n\
         \n\
         a reload would be refused: it would open 512 IPv4 addresses of pool large (50% of 1024), \
         and `max_change` is 10%. `poolguard diff` shows what would change; `poolguard reload \
         --force` does it all the same\n"
    );
    let output = machine.poolguard("diff --json");
    assert_eq!(output.status.code(), Some(3));
    let change: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(change["opened"], json!({ "ipv4": 512, "ipv6_64s": 0 }));

    machine.configure(&large(33));
    let diff = machine.poolguard("diff");
    assert_eq!(diff.status.code(), Some(1));
    let check = machine.poolguard("check");
    let (printed, checked) = (diff.stderr, String::from_utf8(check.stderr).unwrap());
    let printed = String::from_utf8(printed).unwrap();
    assert!(
        printed.starts_with(&checked),
        "{printed}\nas check prints it:\n{checked}"
    );
    running.stop();
}

#[test]
fn a_reload_that_changes_too_much_takes_force() {
    // What the new one allows itself does not count.
    let machine = machine(&large(22));
    let mut running = machine.start();
    let unlimited = format!("max_change = \"100%\"\n{}", large(23));
    machine.configure(&unlimited);
    assert_eq!(
        refused(&machine, "reload"),
        "poolguard: not reloaded, generation 1 stays in force: it would open 512 IPv4 addresses of \
         pool large (50% of 1024), and `max_change` is 10%. `poolguard diff` shows what would \
         change; `poolguard reload --force` does it all the same"
    );
    kill(running.pid(), Signal::SIGHUP).unwrap();
    running.log_until("SIGHUP");
    let line = running.log_until("reload refused");
    assert!(line.contains("by=SIGHUP"), "{line}");
    assert_eq!(machine.status()["generation"], 1);
    assert_eq!(
        done(&machine, "reload --force"),
        "generation 2 is in force\nopened: 512 addresses; closed: no address; customers with \
         exemptions: 0 gain and 0 lose something\n"
    );
    let line = running.log_until("reloaded: the new configuration is in force");
    let asked = "by=uid 0 forced=true opened=512 addresses closed=no address gained=0 lost=0";
    assert!(line.contains(asked), "{line}");
    assert_eq!(done(&machine, "diff"), "nothing would change\n");
    // Now its limit is the one that counts, and there is none.
    machine.configure(&large(25));
    assert!(done(&machine, "reload").starts_with("generation 3 is in force\n"));
    running.stop();
}

#[test]
fn an_exemption_is_given_kept_and_taken_back() {
    let machine = machine(&business());
    let mut running = machine.start();
    let mut add =
        machine.command("exempt add 203.0.113.8/29 25 443/tcp --expires 2h --ticket NOC-7");
    add.args(["--smtp-out", "--reason", "a new server"]);
    let output = machine.output(add);
    assert!(output.status.success(), "{output:?}");
    let log = running.log_until("temporary exemption added");
    for word in [
        "203.0.113.8/29",
        "25, 443/tcp, smtp_out",
        "a new server",
        "NOC-7",
        "uid=0",
    ] {
        assert!(log.contains(word), "{word} in {log}");
    }
    done(
        &machine,
        "exempt add 203.0.113.9 80 --expires 2099-01-01 --reason other",
    );
    let listed = temporary(&machine.status()["temporary"]);
    assert_eq!(listed[0]["id"], 1);
    assert_eq!(listed[0]["ports"], json!(["25", "443/tcp"]));
    assert_eq!(listed[0]["ignored"], Value::Null);
    assert_eq!(listed[1]["prefix"], "203.0.113.9/32");
    assert_eq!(listed[1]["expires"], "2099-01-02T00:00:00Z");
    let list: Value = serde_json::from_str(&done(&machine, "exempt list --json")).unwrap();
    assert_eq!(temporary(&list), listed);
    let text = done(&machine, "exempt list");
    assert!(text.contains("203.0.113.8/29"), "{text}");
    let count = |machine: &Machine| {
        let text = machine.get("/metrics").1;
        metric(&text, "poolguard_temporary_exemptions{family=\"ipv4\"} ")
    };
    assert_eq!(count(&machine), 2);
    assert!(done(&machine, "status").contains("a new server, NOC-7"));
    assert!(done(&machine, "diff").contains("a new server, NOC-7: kept\n"));
    let explain = "explain --in eth0 tcp 192.0.2.9:4000 203.0.113.9:80";
    assert!(done(&machine, explain).contains("PASS: an exemption opens this port"));

    // Neither a reload nor a crash takes them away.
    done(&machine, "reload");
    assert_eq!(temporary(&machine.status()["temporary"]), listed);
    running.kill();
    let mut running = machine.start();
    assert_eq!(temporary(&machine.status()["temporary"]), listed);
    assert_eq!(count(&machine), 2);

    assert!(done(&machine, "exempt remove 2").starts_with("removed: temporary exemption 2 "));
    let log = running.log_until("temporary exemption removed");
    assert!(log.contains("203.0.113.9/32"), "{log}");
    assert_eq!(count(&machine), 1);
    assert_eq!(
        refused(&machine, "exempt remove 2"),
        "poolguard: there is no temporary exemption 2: `poolguard exempt list` shows them"
    );
    // No number is given twice.
    let third = done(
        &machine,
        "exempt add 203.0.113.9 80 --expires 1h --reason again --json",
    );
    let third: Value = serde_json::from_str(&third).unwrap();
    assert_eq!(third["id"], 3);
    running.stop();
}

#[test]
fn an_exemption_that_makes_no_sense_is_refused() {
    let machine = machine(&business());
    let running = machine.start();
    for (words, why) in [
        (
            "198.51.100.9 80 --expires 2h --reason r",
            "198.51.100.9/32 lies in pool dialup (198.51.100.0/24), whose kind dynamic takes no \
             exemptions",
        ),
        (
            "192.0.2.9 80 --expires 2h --reason r",
            "192.0.2.9/32 lies in no pool",
        ),
        (
            "203.0.113.9 81 --expires 2h --reason r",
            "port 81 is not forbidden toward 203.0.113.9/32: pool business forbids 25, 80, 109, \
             110, 139, 194, 443, 1080, 8000 and 8080",
        ),
        (
            "203.0.113.9 --expires 2h --reason r",
            "it opens nothing: name forbidden ports, or --smtp-out",
        ),
        (
            "203.0.113.9 80 --expires 2026-01-01T00:00:00Z --reason r",
            "2026-01-01T00:00:00Z has passed already: choose a later moment",
        ),
    ] {
        let refusal = refused(&machine, &format!("exempt add {words}"));
        assert_eq!(refusal, format!("poolguard: {why}"));
    }
    for words in [
        "203.0.113.9/29 80 --expires 2h --reason r",
        "203.0.113.9 80/tpc --expires 2h --reason r",
        "203.0.113.9 80 --expires soon --reason r",
        "203.0.113.9 80 --reason r",
        "203.0.113.9 80 --expires 2h",
    ] {
        let output = machine.poolguard(&format!("exempt add {words}"));
        assert_eq!(output.status.code(), Some(2), "{words}");
    }
    let status = machine.status();
    assert_eq!(status["temporary"], json!([]));
    assert_eq!(status["generation"], 1);
    running.stop();
}

#[test]
fn an_exemption_ends_when_it_says() {
    let machine = machine(&business());
    let mut running = machine.start();
    let added = done(
        &machine,
        "exempt add 203.0.113.9 80 --expires 3s --reason short --json",
    );
    let added: Value = serde_json::from_str(&added).unwrap();
    let expires: Timestamp = added["expires"].as_str().unwrap().parse().unwrap();
    let log = running.log_until("temporary exemption has expired and no longer exempts");
    let late = Timestamp::now().duration_since(expires);
    // Not when somebody happens to look at the clock.
    assert!(
        !late.is_negative() && late < SignedDuration::from_secs(15),
        "{late}"
    );
    assert!(
        log.contains("203.0.113.9/32") && log.contains("short"),
        "{log}"
    );
    let status = machine.status();
    assert_eq!(status["temporary"], json!([]));
    assert_eq!(status["temporary_exemptions"]["ipv4"], 0);
    running.stop();
}

#[test]
fn an_exemption_that_cannot_be_kept_is_not_given() {
    let machine = machine(&business());
    let running = machine.start();
    done(
        &machine,
        "exempt add 203.0.113.9 80 --expires 1h --reason first",
    );
    // Where root cannot write either.
    let in_the_way = machine.state_file("exemptions.new");
    fs::create_dir(&in_the_way).unwrap();
    let refusal = refused(
        &machine,
        "exempt add 203.0.113.10 80 --expires 1h --reason second",
    );
    assert!(refusal.starts_with("poolguard: cannot write "), "{refusal}");
    assert!(refusal.ends_with(". Nothing was changed"), "{refusal}");
    assert_eq!(machine.status()["generation"], 2);
    assert_eq!(machine.status()["temporary"].as_array().unwrap().len(), 1);
    fs::remove_dir(&in_the_way).unwrap();

    // What the controller knows counts, not what somebody made of the file.
    let file = machine.state_file("exemptions.json");
    let kept = fs::read_to_string(&file).unwrap();
    fs::write(&file, "{ \"version\": 1,").unwrap();
    done(&machine, "reload");
    done(&machine, "diff");
    assert_eq!(machine.status()["temporary"].as_array().unwrap().len(), 1);
    // It is written whole with the next change.
    done(&machine, "exempt remove 1");
    done(
        &machine,
        "exempt add 203.0.113.9 80 --expires 1h --reason again",
    );
    let written = fs::read_to_string(&file).unwrap();
    assert!(written.contains("\"id\": 2"), "{written}");
    assert!(kept.contains("\"id\": 1"), "{kept}");
    running.stop();
}

#[test]
fn exemptions_that_make_no_sense_are_set_aside_by_a_start() {
    let machine = machine(&business());
    machine.start().stop();
    let file = machine.state_file("exemptions.json");
    for number in 1..3 {
        fs::write(&file, "{ \"version\": 1,").unwrap();
        let mut running = machine.start();
        let line = running.log_until("what an earlier run left cannot be used");
        let aside = machine.state_file(&format!("exemptions.json.set-aside-{number}"));
        for words in [
            &format!("{} is damaged: ", file.display()),
            "the temporary exemptions in it do not exempt",
            &aside.display().to_string(),
        ] {
            assert!(line.contains(words), "{words:?} in {line}");
        }
        assert_eq!(fs::read_to_string(aside).unwrap(), "{ \"version\": 1,");
        assert!(!file.exists());
        assert_eq!(machine.get("/readyz"), (200, "ok\n".to_owned()));
        running.stop();
    }
    // One of a newer poolguard's, to which the operator may go back.
    fs::write(&file, "{\"version\": 2}").unwrap();
    let mut running = machine.start();
    let line = running.log_until("what an earlier run left cannot be used");
    assert!(line.contains("is of version 2"), "{line}");
    running.stop();
}

#[test]
fn an_exemption_without_room_waits_for_it() {
    let machine = machine(&business());
    let mut running = machine.start();
    done(
        &machine,
        "exempt add 203.0.113.9 80 --expires 1h --reason moving",
    );
    machine.configure(CONFIG);
    let output = machine.poolguard("diff");
    let text = stdout(&output);
    assert!(
        text.contains("- temporary exemption 1 203.0.113.9/32 80 until "),
        "{text}"
    );
    done(&machine, "reload --force");
    running.log_until("temporary exemption is kept, and does not exempt as it says");
    let listed = machine.status()["temporary"][0].clone();
    assert_eq!(listed["ignored"], "203.0.113.9/32 lies in no pool");
    machine.configure(&business());
    done(&machine, "reload");
    assert_eq!(machine.status()["temporary"][0]["ignored"], Value::Null);
    running.stop();
}

/// How many IPv4 pool prefixes are in force: one of [`CONFIG`], two of
/// [`business`].
fn pools(machine: &Machine) -> u64 {
    machine.status()["pool_prefixes"]["ipv4"].as_u64().unwrap()
}

#[test]
fn a_trial_that_is_confirmed_stays() {
    let machine = machine(CONFIG);
    let mut running = machine.start();
    assert_eq!(
        refused(&machine, "confirm"),
        "poolguard: nothing waits to be confirmed"
    );
    machine.configure(&business());
    let text = done(&machine, "reload --confirm 1h");
    assert!(text.starts_with("generation 2 is in force\n"), "{text}");
    running.log_until("on trial");
    assert_eq!(pools(&machine), 2);
    assert!(machine.status()["unconfirmed_until"].is_string());
    assert!(done(&machine, "status").contains("ON TRIAL: goes back at "));
    assert_eq!(gauge(&machine, "poolguard_config_unconfirmed"), 1);
    let refusal = refused(&machine, "reload");
    assert!(
        refusal.contains("what is in force is on trial until "),
        "{refusal}"
    );
    assert!(machine.state_file("unconfirmed.json").exists());

    assert_eq!(done(&machine, "confirm"), "generation 2 stays in force\n");
    assert_eq!(machine.status()["unconfirmed_until"], Value::Null);
    assert_eq!(gauge(&machine, "poolguard_config_unconfirmed"), 0);
    assert!(!machine.state_file("unconfirmed.json").exists());
    done(&machine, "reload");
    assert_eq!(pools(&machine), 2);
    running.stop();
}

#[test]
fn a_trial_that_is_not_confirmed_goes_back_and_stays_back() {
    let machine = machine(&business());
    let mut running = machine.start();
    machine.configure(&format!("enforcement = \"monitor\"\n{CONFIG}"));
    done(&machine, "reload --force --confirm 1h");
    done(&machine, "reload --force --confirm 2s");
    running.log_until("not confirmed in time");
    assert_eq!(
        pools(&machine),
        2,
        "what was confirmed last, not the trial before"
    );
    let status = machine.status();
    assert_eq!(status["monitor"], false);
    assert_eq!(status["unconfirmed_until"], Value::Null);
    assert!(status["rolled_back"].is_string());
    assert_eq!(gauge(&machine, "poolguard_config_rolled_back"), 1);
    assert!(done(&machine, "status").contains("is NOT what is in force"));
    assert_eq!(machine.poolguard("diff").status.code(), Some(3));
    assert_eq!(
        refused(&machine, "confirm"),
        "poolguard: nothing waits to be confirmed"
    );

    // Also over a restart, whatever is in the file meanwhile.
    machine.configure("nonsense");
    running.stop();
    let mut running = machine.start();
    running.log_until("not confirmed in time");
    assert_eq!(pools(&machine), 2);
    assert_eq!(machine.status()["rolled_back"], status["rolled_back"]);
    // A reload that fails changes nothing in that.
    refused(&machine, "reload");
    assert!(machine.state_file("unconfirmed.json").exists());
    machine.configure(CONFIG);
    done(&machine, "reload --force");
    assert_eq!(pools(&machine), 1);
    assert_eq!(machine.status()["rolled_back"], Value::Null);
    assert_eq!(gauge(&machine, "poolguard_config_rolled_back"), 0);
    assert!(!machine.state_file("unconfirmed.json").exists());
    running.stop();
}

#[test]
fn a_crash_does_not_end_a_trial() {
    let machine = machine(CONFIG);
    let mut running = machine.start();
    machine.configure(&business());
    done(&machine, "reload --confirm 1h");
    let deadline = machine.status()["unconfirmed_until"].clone();
    running.kill();
    running = machine.start();
    assert_eq!(machine.status()["unconfirmed_until"], deadline);
    assert_eq!(pools(&machine), 2);

    // The deadline passes while nobody is there to notice.
    running.kill();
    let file = machine.state_file("unconfirmed.json");
    let mut kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let past = Timestamp::now() - SignedDuration::from_secs(1);
    kept["deadline"] = json!(past.to_string());
    fs::write(&file, kept.to_string()).unwrap();
    running = machine.start();
    running.log_until("not confirmed in time");
    assert_eq!(pools(&machine), 1);
    assert_eq!(machine.status()["rolled_back"], past.to_string());
    // That is for good: a clock that is set back does not begin it anew.
    let kept: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept["rolled_back"], true);
    running.stop();
}

#[test]
fn a_trial_ends_on_time_also_after_a_crash() {
    let machine = machine(CONFIG);
    let running = machine.start();
    machine.configure(&business());
    done(&machine, "reload --confirm 5s");
    let deadline = machine.status()["unconfirmed_until"].clone();
    running.kill();
    let mut running = machine.start();
    running.log_until("not confirmed in time");
    let deadline: Timestamp = deadline.as_str().unwrap().parse().unwrap();
    assert!(Timestamp::now() >= deadline);
    assert_eq!(pools(&machine), 1);
    running.stop();
}

#[test]
fn a_trial_that_cannot_be_gone_back_from_does_not_begin() {
    let machine = machine(CONFIG);
    let running = machine.start();
    done(&machine, "reload");
    let in_the_way = machine.state_file("unconfirmed.new");
    fs::create_dir_all(&in_the_way).unwrap();
    machine.configure(&business());
    let refusal = refused(&machine, "reload --confirm 1h");
    assert!(refusal.contains("cannot write "), "{refusal}");
    assert!(refusal.contains("unconfirmed.json: "), "{refusal}");
    assert_eq!(pools(&machine), 1);
    assert_eq!(machine.status()["unconfirmed_until"], Value::Null);
    done(&machine, "reload");
    assert_eq!(pools(&machine), 2);
    running.stop();
}

#[test]
fn a_reload_that_fails_leaves_no_trial() {
    let machine = machine(CONFIG);
    let running = machine.start();
    // A bridge has no XDP of its own: that is found out last.
    machine.namespace.ip("link add br7 up type bridge");
    machine.configure(&business().replace("eth0", "br7"));
    refused(&machine, "reload --confirm 1h");
    assert_eq!(machine.status()["unconfirmed_until"], Value::Null);
    assert!(!machine.state_file("unconfirmed.json").exists());
    running.stop();
}

/// What `/metrics` says of one with labels, summed.
fn counted(machine: &Machine, name: &str) -> u64 {
    let text = machine.get("/metrics").1;
    let lines = text.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

/// The tables in use change, and no others take their place.
#[test]
fn a_temporary_exemption_is_in_force_when_its_command_ends() {
    let machine = machine(&format!(
        "customer_lists = [\"customers.csv\"]\n{}",
        business()
    ));
    let list = "prefix,allow_inbound,customer\n203.0.113.16/30,443,acme\n";
    fs::write(machine.directory.join("customers.csv"), list).unwrap();
    let running = machine.start();
    let mut port = Port::open(&machine.outside, "eth0");
    let mut send = |to: [u8; 4], number: u16| -> (u64, u64) {
        let names = [
            "poolguard_exempted_packets_total{",
            "poolguard_dropped_packets_total{",
        ];
        let before = names.map(|name| counted(&machine, name));
        let frame = tcp(([192, 0, 2, 9].into(), 40_000), (to.into(), number));
        port.send(&frame.arrival().bytes);
        let start = std::time::Instant::now();
        loop {
            let after = names.map(|name| counted(&machine, name));
            if after != before || start.elapsed().as_secs() > 10 {
                return (after[0] - before[0], after[1] - before[1]);
            }
        }
    };
    const EXEMPTED: (u64, u64) = (1, 0);
    const DROPPED: (u64, u64) = (0, 1);
    let (lent, beside, listed) = ([203, 0, 113, 9], [203, 0, 113, 10], [203, 0, 113, 17]);
    assert_eq!(send(lent, 80), DROPPED);
    assert_eq!(send(listed, 443), EXEMPTED);

    // `ip` shows the program's number, which another one would not have.
    let program = |machine: &Machine| {
        let shown = machine.namespace.ip("-json link show dev eth0");
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown[0]["xdp"]["prog"]["id"].as_u64().unwrap()
    };
    let before = program(&machine);
    done(
        &machine,
        "exempt add 203.0.113.9 80 --expires 1h --reason address",
    );
    assert_eq!(send(lent, 80), EXEMPTED);
    assert_eq!(send(lent, 443), DROPPED);
    assert_eq!(send(beside, 80), DROPPED);

    // Around what a list exempts: both hold.
    done(
        &machine,
        "exempt add 203.0.113.0/27 80 --expires 1h --reason wide",
    );
    assert_eq!(send(beside, 80), EXEMPTED);
    assert_eq!(send(listed, 80), EXEMPTED);
    assert_eq!(send(listed, 443), EXEMPTED);
    assert_eq!(send([203, 0, 113, 33], 80), DROPPED);

    done(&machine, "exempt remove 1");
    assert_eq!(send(lent, 80), EXEMPTED);
    done(&machine, "exempt remove 2");
    assert_eq!(send(lent, 80), DROPPED);
    assert_eq!(send(listed, 80), DROPPED);
    assert_eq!(send(listed, 443), EXEMPTED);
    assert_eq!(program(&machine), before);
    running.stop();
}

/// It says what the filter does: what is in force, whatever the file says by now.
#[test]
fn explain_says_what_is_in_force_and_where_the_file_differs() {
    let machine = machine(&business());
    let mut running = machine.start();
    let question = "explain --in eth0 tcp 192.0.2.9:4000 203.0.113.9:25";
    let text = done(&machine, question);
    assert!(text.contains("verdict  DROP: rule 3"), "{text}");
    assert!(text.contains("asked    what is in force: generation 1, in force since "));
    assert!(!text.contains("but "), "{text}");

    // The file is edited, and not loaded.
    let open = format!(
        "{}[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n",
        business()
    );
    machine.configure(&open);
    let text = done(&machine, question);
    assert!(text.contains("verdict  DROP: rule 3"), "{text}");
    assert!(
        text.contains("is not what is in force, and says: PASS: an exemption opens this port"),
        "{text}"
    );
    let of_file = format!("{question} --file {}", machine.config_file().display());
    let text = done(&machine, &of_file);
    assert!(
        text.contains("verdict  PASS: an exemption opens this port"),
        "{text}"
    );
    assert!(
        text.contains("but      what is in force says: DROP: rule 3"),
        "{text}"
    );

    // On trial, and gone back.
    done(&machine, "reload --confirm 1h");
    let text = done(&machine, question);
    assert!(
        text.contains("verdict  PASS: an exemption opens this port"),
        "{text}"
    );
    assert!(text.contains("; on trial until "), "{text}");
    done(&machine, "reload --force --confirm 1s");
    running.log_until("not confirmed in time");
    let text = done(&machine, question);
    assert!(text.contains("verdict  DROP: rule 3"), "{text}");
    assert!(text.contains("; it came back at "), "{text}");
    assert!(text.contains("and says: PASS"), "{text}");

    // A file that nobody can read says nothing.
    machine.configure("[[");
    let text = done(&machine, question);
    assert!(text.contains("verdict  DROP: rule 3"), "{text}");
    assert!(text.contains("is wrong, or cannot be read"), "{text}");

    // What makes no sense is wrong usage, as for a file.
    let output = machine.poolguard(&question.replace("eth0", "eth9"));
    assert_eq!(output.status.code(), Some(2));
    assert!(last_line(&output).contains("interface eth9 is not in the configuration"));
    running.stop();
}

#[test]
fn diff_compares_what_is_in_force_with_any_file() {
    let machine = machine(&large(22));
    let running = machine.start();
    let candidate = machine.directory.join("candidate.toml");
    let customers = machine.directory.join("candidates.d");
    fs::create_dir(&customers).unwrap();
    let pool = "[[pool]]\nname = \"new\"\nkind = \"dynamic\"\nprefixes = [\"10.9.0.0/24\"]\n";
    fs::write(customers.join("new.toml"), pool).unwrap();
    fs::write(
        &candidate,
        format!("include = [\"candidates.d/*.toml\"]\n{}", large(23)),
    )
    .unwrap();
    let words = format!("diff --with {}", candidate.display());
    let output = machine.poolguard(&words);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = stdout(&output);
    assert!(
        text.contains("+ pool large (dynamic) 10.0.0.0/23: 512 addresses\n"),
        "{text}"
    );
    assert!(
        text.contains("+ pool new (dynamic) 10.9.0.0/24: 256 addresses\n"),
        "{text}"
    );
    let refused_then = "a reload would be refused: it would open 512 IPv4 addresses of pool large";
    assert!(text.contains(refused_then), "{text}");
    // Its own file is another matter.
    assert_eq!(done(&machine, "diff"), "nothing would change\n");
    fs::write(&candidate, "[[").unwrap();
    assert!(refused(&machine, &words).contains("the configuration is wrong"));
    running.stop();
}

/// Two boxes with the same files have the same hash, and others another one.
#[test]
fn the_hash_of_the_configuration_in_force_is_a_metric() {
    let machine = machine(CONFIG);
    let running = machine.start();
    let hash = || machine.status()["config_hash"].as_str().unwrap().to_owned();
    let first = hash();
    let line = format!("poolguard_config_info{{hash=\"{first}\"}} 1");
    assert!(machine.get("/metrics").1.lines().any(|found| found == line));
    machine.configure(&format!("{CONFIG}# another one\n"));
    assert_eq!(hash(), first, "what is not in force");
    done(&machine, "reload");
    assert_ne!(hash(), first);
    machine.configure(CONFIG);
    done(&machine, "reload");
    assert_eq!(hash(), first);
    running.stop();
}
