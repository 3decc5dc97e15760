//! What a start puts into force, whatever the morning brings: a file that was
//! refused or spoilt, interfaces that cannot be had, metrics and state that are in
//! the way. It filters.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
};

use filter_user::disk;
use jiff::Timestamp;
use lab::{CONFIG, Machine, Running, last_line, metric};
use nix::{sys::stat::Mode, unistd::mkfifo};
use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket},
    process::Uid,
    thread::set_thread_uid,
};
use serde_json::{Value, json};

/// Pools of 4,096 and 512 addresses, and a customer in a file and one in a list.
fn provider() -> String {
    format!(
        "include = [\"customers.d/*.toml\"]\ncustomer_lists = [\"customers.csv\"]\n{CONFIG}\
         [[pool]]\nname = \"large\"\nkind = \"dynamic\"\nprefixes = [\"10.0.0.0/20\"]\n\
         [[pool]]\nname = \"business\"\nkind = \"static\"\nprefixes = [\"203.0.112.0/23\"]\n"
    )
}

fn provider_machine() -> Machine {
    let machine = Machine::new();
    let customers = machine.directory.join("customers.d");
    fs::create_dir(&customers).unwrap();
    fs::write(
        customers.join("acme.toml"),
        "[[customer]]\nname = \"acme\"\nprefixes = [\"203.0.113.8/29\"]\nallow_inbound = [25]\n",
    )
    .unwrap();
    fs::write(
        machine.directory.join("customers.csv"),
        "prefix,customer,allow_inbound\n203.0.113.16/29,bcme,80\n",
    )
    .unwrap();
    machine.configure(&provider());
    machine
}

fn done(machine: &Machine, words: &str) -> String {
    let output = machine.poolguard(words);
    assert!(output.status.success(), "{words}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn refused(machine: &Machine, words: &str) -> String {
    let output = machine.poolguard(words);
    assert_eq!(output.status.code(), Some(1), "{words}: {output:?}");
    last_line(&output)
}

fn gauge(machine: &Machine, name: &str) -> u64 {
    metric(&machine.get("/metrics").1, &format!("{name} "))
}

/// What a boot leaves of a filter: nothing. The files on disk stay.
fn reboot(machine: &Machine) {
    done(machine, "detach");
    for interface in ["eth0", "eth1"] {
        machine.namespace.ip(&format!("link delete {interface}"));
        machine.add_veth(interface);
    }
}

/// That the controller enforces what [`provider`] says, and says that the file is
/// another one, and why.
#[track_caller]
fn goes_on_with_the_last(machine: &Machine, running: &mut Running<'_>, why: &str) {
    let line = running.log_until("the files are NOT in force, a reload would refuse them");
    assert!(line.contains(why), "{why:?} in {line}");
    let status = machine.status();
    assert_eq!(status["monitor"], false);
    assert_eq!(status["pool_prefixes"]["ipv4"], 3, "{status}");
    assert_eq!(status["exemptions"]["ipv4"], 2, "{status}");
    assert_eq!(status["interfaces"].as_array().unwrap().len(), 2);
    let error = status["last_good"]["error"].as_str().unwrap();
    assert!(error.contains(why), "{why:?} in {error}");
    let text = done(machine, "status");
    assert!(
        text.contains("LAST GOOD CONFIGURATION") && text.contains("is NOT what is in force"),
        "{text}"
    );
    let (code, text) = machine.get("/readyz");
    assert_eq!(code, 200, "{text}");
    assert!(
        text.contains("the last good configuration is in force") && text.contains(why),
        "{text}"
    );
    assert_eq!(gauge(machine, "poolguard_config_last_good"), 1);
}

#[track_caller]
fn goes_by_the_file(machine: &Machine) {
    assert_eq!(machine.status()["last_good"], Value::Null);
    assert_eq!(gauge(machine, "poolguard_config_last_good"), 0);
    let is_monitor = machine.status()["monitor"] == true;
    let remark = if is_monitor {
        "MONITOR MODE: nothing is dropped\n"
    } else {
        ""
    };
    assert_eq!(machine.get("/readyz"), (200, format!("ok\n{remark}")));
}

#[test]
fn what_a_reload_would_refuse_is_not_put_into_force_by_a_start() {
    let machine = provider_machine();
    machine.start_with("run").kill();
    let changed = |from: &str, to: &str| {
        let text = provider();
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let slips = [
        ("[[".to_owned(), "poolguard.toml:1"),
        (changed("10.0.0.0/20", "10.0.0.1/20"), "has host bits set"),
        (
            format!("enforcement = \"monitor\"\n{}", provider()),
            "`max_change` is 10%",
        ),
        (
            format!(
                "max_change = \"100%\"\n{}",
                changed("10.0.0.0/20", "10.0.0.0/16")
            ),
            "it would turn 10.0.0.0/20 of pool large into 10.0.0.0/16",
        ),
        (changed("\"static\"", "\"dynamic\""), "203.0.113"),
        (changed("eth0", "etho"), "it would take the filter off eth0"),
        (
            changed("\"network\"", "\"customer\""),
            "it would change the role of eth0",
        ),
    ];
    for (text, why) in &slips {
        machine.configure(text);
        // Also when nobody has looked at it, over a crash and over a reboot.
        let mut running = machine.start_with("run");
        goes_on_with_the_last(&machine, &mut running, why);
        running.kill();
        reboot(&machine);
        let mut running = machine.start_with("run");
        goes_on_with_the_last(&machine, &mut running, why);
        running.kill();
    }
    // One that was is not a change.
    machine.configure(&provider());
    let running = machine.start();
    goes_by_the_file(&machine);
    running.stop();
}

#[test]
fn a_refused_reload_is_not_done_by_the_next_start() {
    let machine = provider_machine();
    let running = machine.start_with("run");
    machine.configure(&format!("enforcement = \"monitor\"\n{}", provider()));
    assert!(refused(&machine, "reload").contains("`max_change` is 10%"));
    running.kill();
    let mut running = machine.start_with("run");
    goes_on_with_the_last(&machine, &mut running, "`max_change` is 10%");
    // It is as after a refused reload: the next one that succeeds ends it.
    done(&machine, "reload --force");
    assert_eq!(machine.status()["monitor"], true);
    goes_by_the_file(&machine);
    running.kill();
    let running = machine.start();
    assert_eq!(machine.status()["monitor"], true, "that was meant");
    goes_by_the_file(&machine);
    running.stop();
}

/// Every file that a reload refused stays refused, whatever was refused or accepted
/// after it, and what would have been accepted at another moment does not.
#[test]
fn what_a_reload_was_refused_for_counts_at_the_next_start_unless_it_passes() {
    let machine = provider_machine();
    let running = machine.start_with("run");
    let monitor = format!("enforcement = \"monitor\"\n{}", provider());
    machine.configure(&monitor);
    refused(&machine, "reload");
    machine.configure(&format!("{}# wide\n", provider().replace("/20", "/16")));
    refused(&machine, "reload");
    machine.configure(&format!("max_change = \"100%\"\n{}", provider()));
    done(&machine, "reload");
    machine.configure(&monitor);
    running.kill();
    let mut running = machine.start_with("run");
    goes_on_with_the_last(&machine, &mut running, "a reload of it was refused at ");
    machine.configure(&provider());
    done(&machine, "reload");
    let taken = machine
        .namespace
        .run(|| TcpListener::bind("127.0.0.1:9190").unwrap());
    let moved = format!("{}[metrics]\nlisten = \"127.0.0.1:9190\"\n", provider());
    machine.configure(&moved);
    assert!(refused(&machine, "reload").contains("Address already in use"));
    drop(taken);
    running.kill();
    let running = machine.start_with("run");
    assert_eq!(machine.status()["last_good"], Value::Null);
    assert!(answers(&machine, "127.0.0.1:9190"));
    // What is accepted after all makes up for the refusal.
    machine.configure(&monitor);
    done(&machine, "reload --force");
    done(&machine, "detach");
    running.ended();
    let kept = fs::read_to_string(machine.state_file("refused.json")).unwrap();
    assert_eq!(
        kept.matches("fingerprint").count(),
        1,
        "the other one: {kept}"
    );
}

#[test]
fn what_is_done_every_day_is_taken_by_a_start_and_kept() {
    let machine = provider_machine();
    machine.start().stop();
    let acme = machine.directory.join("customers.d/acme.toml");
    let text = fs::read_to_string(&acme).unwrap();
    fs::write(&acme, text.replace("[25]", "[25, 443]")).unwrap();
    let mut running = machine.start();
    let line = running.log_until("the files have changed since they were last in force");
    assert!(line.contains("opened=8 addresses"), "{line}");
    goes_by_the_file(&machine);
    running.kill();
    // It is the one to hold the next start to.
    fs::write(&acme, "nonsense").unwrap();
    let mut running = machine.start();
    goes_on_with_the_last(&machine, &mut running, "acme.toml:1");
    fs::write(&acme, text.replace("[25]", "[25, 443]")).unwrap();
    assert_eq!(done(&machine, "diff"), "nothing would change\n");
    running.stop();
}

#[test]
fn the_last_good_configuration_is_whole() {
    let machine = provider_machine();
    machine.start().stop();
    fs::remove_file(machine.directory.join("customers.csv")).unwrap();
    fs::remove_dir_all(machine.directory.join("customers.d")).unwrap();
    machine.configure("nonsense");
    let mut running = machine.start();
    goes_on_with_the_last(&machine, &mut running, "poolguard.toml:1");
    running.stop();
    // Whoever lost the files gets them back with tar.
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(machine.state_file("confirmed.tar"));
    let back = machine.directory.join("back");
    fs::create_dir(&back).unwrap();
    assert!(tar.arg("-C").arg(&back).status().unwrap().success());
    let relative = machine.config_file();
    let relative = relative.strip_prefix("/").unwrap();
    assert_eq!(fs::read_to_string(back.join(relative)).unwrap(), provider());
}

#[test]
fn without_anything_kept_a_wrong_file_starts_nothing() {
    let machine = Machine::new();
    machine.configure("[[");
    let line = refused(&machine, "run");
    assert!(line.contains("not started: nothing is enforced"), "{line}");
    assert!(!machine.pins().exists());
}

#[test]
fn strict_refuses_and_force_takes() {
    let machine = provider_machine();
    machine.start().stop();
    machine.configure(&format!("enforcement = \"monitor\"\n{}", provider()));
    let line = refused(&machine, "run --strict");
    for words in ["not started: nothing is enforced", "`max_change` is 10%"] {
        assert!(line.contains(words), "{words:?} in {line}");
    }
    let running = machine.start_with("run --detach-on-exit --force");
    assert_eq!(machine.status()["monitor"], true);
    goes_by_the_file(&machine);
    running.stop();
    // What was taken is what the next start is held to.
    let running = machine.start_with("run --detach-on-exit --strict");
    assert_eq!(machine.status()["monitor"], true);
    running.stop();
    // Force is no help for a file that makes no sense.
    machine.configure("[[");
    let mut running = machine.start_with("run --detach-on-exit --force");
    running.log_until("the files are NOT in force");
    assert_eq!(machine.status()["monitor"], true);
    running.stop();
    let output = machine.poolguard("run --force --strict");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_configuration_that_was_kept_and_makes_no_sense_is_set_aside() {
    let machine = provider_machine();
    machine.start().stop();
    fs::write(machine.state_file("confirmed.tar"), "not an archive").unwrap();
    machine.configure(&format!("enforcement = \"monitor\"\n{}", provider()));
    let mut running = machine.start();
    let line = running.log_until("what an earlier run left cannot be used");
    for words in [
        "confirmed.tar is damaged",
        "compared with nothing",
        "set-aside-1",
    ] {
        assert!(line.contains(words), "{words:?} in {line}");
    }
    // Nobody knows what the file changes: it filters, until somebody has looked at it.
    running.log_until("UNCONFIRMED");
    let status = machine.status();
    assert_eq!(status["monitor"], true);
    let error = status["unconfirmed"]["error"].as_str().unwrap();
    assert!(error.contains("confirmed.tar is damaged"), "{error}");
    assert!(done(&machine, "status").contains("UNCONFIRMED"));
    let (code, text) = machine.get("/readyz");
    assert_eq!(code, 200, "{text}");
    assert!(text.contains("UNCONFIRMED"), "{text}");
    assert_eq!(gauge(&machine, "poolguard_config_unconfirmed"), 1);
    running.kill();
    let running = machine.start();
    assert!(machine.status()["unconfirmed"].is_object());
    done(&machine, "confirm");
    assert_eq!(gauge(&machine, "poolguard_config_unconfirmed"), 0);
    goes_by_the_file(&machine);
    running.stop();
    // It is kept again.
    machine.configure(&provider());
    let mut running = machine.start();
    running.log_until("the files are NOT in force");
    assert_eq!(machine.status()["monitor"], true);
    running.stop();
}

#[test]
fn a_trial_goes_on_with_what_was_on_trial_whatever_the_file_says_by_now() {
    let machine = provider_machine();
    let running = machine.start_with("run");
    machine.configure(&format!("{}# tried\n", provider().replace("/20", "/21")));
    done(&machine, "reload --force --confirm 1h");
    let deadline = machine.status()["unconfirmed_until"].clone();
    machine.configure(&format!("enforcement = \"monitor\"\n{}", provider()));
    running.kill();
    let running = machine.start_with("run");
    let status = machine.status();
    assert_eq!(status["unconfirmed_until"], deadline);
    assert_eq!(status["monitor"], false);
    done(&machine, "confirm");
    running.kill();
    // What was confirmed is what the file is held to.
    let mut running = machine.start();
    running.log_until("the files are NOT in force");
    assert_eq!(machine.status()["monitor"], false);
    let confirmed = fs::read(machine.state_file("confirmed.tar")).unwrap();
    let text = String::from_utf8_lossy(&confirmed);
    assert!(text.contains("# tried"));
    assert!(!machine.state_file("on-trial.tar").exists());
    running.stop();
}

/// Nobody knows what was on trial.
#[test]
fn a_trial_that_an_older_poolguard_began_goes_back_at_once() {
    let machine = provider_machine();
    let before = disk::load(&machine.config_file(), Timestamp::now()).unwrap();
    machine.configure(&format!("enforcement = \"monitor\"\n{}", provider()));
    let state = machine.state().join(&machine.instance);
    fs::create_dir_all(&state).unwrap();
    let deadline = Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let kept = json!({
        "version": 1, "deadline": deadline, "rolled_back": false, "previous": *before.config,
    });
    fs::write(state.join("unconfirmed.json"), kept.to_string()).unwrap();
    for _ in 0..2 {
        let mut running = machine.start();
        let line = running.log_until("the configuration before it is in force again");
        for words in [
            "ERROR",
            "what was on trial is lost (on-trial.tar is missing)",
        ] {
            assert!(line.contains(words), "{words:?} in {line}");
        }
        assert_eq!(machine.status()["monitor"], false);
        assert_eq!(machine.status()["rolled_back"], deadline.to_string());
        running.stop();
    }
}

/// Also where nobody is there to be asked.
#[test]
fn a_trial_ends_with_the_filter_that_is_taken_off() {
    let machine = provider_machine();
    for is_running in [true, false] {
        let running = machine.start_with("run --force");
        machine.configure(&format!("{}# tried {is_running}\n", provider()));
        done(&machine, "reload --confirm 1h");
        let running = match is_running {
            true => Some(running),
            false => {
                running.kill();
                None
            }
        };
        done(&machine, "detach");
        drop(running);
        let mut running = machine.start();
        goes_on_with_the_last(&machine, &mut running, "it was on trial when");
        running.stop();
        machine.configure(&provider());
    }
}

#[test]
fn force_ends_a_trial_also_where_the_file_is_wrong() {
    let machine = provider_machine();
    let running = machine.start_with("run");
    machine.configure(&format!("enforcement = \"monitor\"\n{}", provider()));
    done(&machine, "reload --force --confirm 1h");
    running.kill();
    machine.configure("[[");
    let mut running = machine.start_with("run --force");
    goes_on_with_the_last(&machine, &mut running, "poolguard.toml:1");
    running.kill();
    let mut running = machine.start();
    goes_on_with_the_last(&machine, &mut running, "poolguard.toml:1");
    assert!(!machine.state_file("on-trial.tar").exists());
    running.stop();
}

#[test]
fn what_went_back_is_confirmed_once_the_file_says_the_same() {
    let machine = provider_machine();
    let mut running = machine.start_with("run");
    machine.configure(&format!("enforcement = \"monitor\"\n{}", provider()));
    done(&machine, "reload --force --confirm 1s");
    running.log_until("not confirmed in time");
    running.kill();
    let running = machine.start_with("run");
    assert!(machine.status()["rolled_back"].is_string());
    running.kill();
    machine.configure(&provider());
    let running = machine.start();
    assert_eq!(machine.status()["rolled_back"], Value::Null);
    goes_by_the_file(&machine);
    assert!(!machine.state_file("unconfirmed.json").exists());
    running.stop();
}

#[test]
fn what_can_be_attached_is_and_the_rest_when_it_can() {
    let machine = Machine::without_interfaces();
    machine.add_veth("eth1");
    machine.add_veth("eth0");
    let other = machine.directory.join("other.toml");
    let text = CONFIG
        .replace("\"eth0\"", "\"eth8\"")
        .replace("\"eth1\"", "\"eth0\"");
    fs::write(
        &other,
        format!("{text}[metrics]\nlisten = \"127.0.0.1:9189\"\n"),
    )
    .unwrap();
    let mut command = machine.command("run --detach-on-exit");
    command.args(["--instance", &format!("{}-other", machine.instance)]);
    command.arg("--config").arg(&other);
    let occupier = machine.start_command(command);
    let mut running = machine.start();
    let line = running.log_until("cannot be attached to as configured, NOT ENFORCING");
    let why = format!(
        "interface eth0: poolguard's instance {}-other",
        machine.instance
    );
    assert!(line.contains(&why), "{line}");
    let attached = |machine: &Machine| {
        let interfaces = machine.status()["interfaces"].clone();
        let attached = |number: usize| interfaces[number]["attached"].as_bool().unwrap();
        [attached(0), attached(1)]
    };
    assert_eq!(attached(&machine), [true, false]);
    let (code, text) = machine.get("/readyz");
    assert_eq!(code, 503);
    assert!(
        text.starts_with(&format!("not enforcing on eth0: {why}")),
        "{text}"
    );
    // It does not keep a reload from being done either.
    done(&machine, "reload");
    assert_eq!(attached(&machine), [true, false]);
    // But one that could be had and cannot any more does.
    machine.configure(&CONFIG.replace("\"eth1\"", "\"br0\"\nattach = \"native\""));
    machine.namespace.ip("link add br0 type bridge");
    refused(&machine, "reload --force");
    machine.configure(CONFIG);
    occupier.stop();
    running.log_until("the interface is there: enforcing on it");
    assert_eq!(attached(&machine), [true, true]);
    assert_eq!(machine.get("/readyz").0, 200);
    running.stop();
}

fn answers(machine: &Machine, address: &str) -> bool {
    machine.namespace.run(|| {
        let Ok(mut stream) = TcpStream::connect(address) else {
            return false;
        };
        stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.ends_with("ok\n")
    })
}

#[test]
fn metrics_that_cannot_be_served_do_not_keep_the_filter_off() {
    let machine = Machine::new();
    let taken = machine
        .namespace
        .run(|| TcpListener::bind("127.0.0.1:9188").unwrap());
    let mut running = machine.start();
    let line = running.log_until("are NOT SERVED");
    assert!(line.contains("`ss -lntp`"), "{line}");
    let status = machine.status();
    assert_eq!(status["interfaces"][0]["attached"], true);
    let problem = status["metrics"]["problem"].as_str().unwrap();
    assert!(problem.contains("127.0.0.1:9188"), "{problem}");
    assert!(done(&machine, "status").contains("METRICS NOT SERVED"));
    drop(taken);
    running.log_until("serving /metrics");
    assert_eq!(machine.get("/readyz").0, 200);
    assert_eq!(machine.status()["metrics"]["problem"], Value::Null);
    running.stop();
}

#[test]
fn metrics_move_to_every_address_of_the_same_port_and_back() {
    let machine = Machine::new();
    machine.namespace.ip("address add 192.0.2.10/32 dev lo");
    let running = machine.start();
    assert!(!answers(&machine, "192.0.2.10:9188"));
    for (listen, is_everywhere) in [("0.0.0.0", true), ("[::]", true), ("127.0.0.1", false)] {
        machine.configure(&format!("{CONFIG}[metrics]\nlisten = \"{listen}:9188\"\n"));
        done(&machine, "reload");
        assert!(answers(&machine, "127.0.0.1:9188"), "{listen}");
        assert_eq!(
            answers(&machine, "192.0.2.10:9188"),
            is_everywhere,
            "{listen}"
        );
    }
    running.stop();
}

#[test]
fn metrics_whose_old_address_is_taken_meanwhile_are_not_lost() {
    let machine = Machine::new();
    let mut running = machine.start();
    machine.configure(&format!("{CONFIG}[metrics]\nlisten = \"127.0.0.1:9189\"\n"));
    done(&machine, "reload --confirm 3s");
    let taken = machine
        .namespace
        .run(|| TcpListener::bind("127.0.0.1:9188").unwrap());
    running.log_until("the metrics stay where they are, on 127.0.0.1:9189");
    running.log_until("not confirmed in time");
    assert!(answers(&machine, "127.0.0.1:9189"));
    // An address that is in force and cannot be had refuses no reload of something else.
    machine.configure(&format!("{CONFIG}# another text\n"));
    done(&machine, "reload");
    assert!(machine.status()["metrics"]["problem"].is_string());
    drop(taken);
    running.log_until("serving /metrics");
    assert!(answers(&machine, "127.0.0.1:9188"));
    assert!(!answers(&machine, "127.0.0.1:9189"));
    running.stop();
}

#[test]
fn a_control_socket_that_cannot_be_does_not_keep_the_filter_off() {
    let machine = Machine::new();
    let run = Path::new("/run/poolguard");
    let [socket, lock] =
        ["sock", "lock"].map(|kind| run.join(format!("{}.{kind}", machine.instance)));
    fs::create_dir_all(&socket).unwrap();
    // What a poolguard before this one opened, and would have waited for.
    mkfifo(&lock, Mode::S_IRUSR).unwrap();
    let mut running = machine.start();
    let line = running.log_until("NO CONTROL SOCKET");
    for words in ["ERROR", "remove the directory that is there", "Tried again"] {
        assert!(line.contains(words), "{words:?} in {line}");
    }
    assert_eq!(machine.get("/readyz").0, 200);
    // Whoever cannot ask it sees that it runs all the same.
    let line = refused(&machine, "run");
    let pid = running.pid();
    assert!(line.contains(&format!("as process {pid}")), "{line}");
    let line = refused(&machine, "detach");
    for words in ["NOTHING WAS DETACHED", &format!("`kill {pid}`")] {
        assert!(line.contains(words), "{words:?} in {line}");
    }
    assert_eq!(machine.get("/readyz").0, 200);
    fs::remove_dir(&socket).unwrap();
    running.log_until("the control socket is there again");
    assert_eq!(machine.status()["interfaces"][0]["attached"], true);
    // It comes back as often as somebody tidies up, and goes with the controller.
    fs::remove_file(&socket).unwrap();
    running.log_until("the control socket is there again");
    done(&machine, "reload");
    running.stop();
    assert!(!socket.exists());
    fs::remove_file(lock).unwrap();
}

/// Anybody may take any name among the abstract sockets.
#[test]
fn a_stranger_does_not_keep_the_filter_off() {
    let machine = Machine::new();
    let name = format!("poolguard/{}", machine.instance);
    let taken = machine.namespace.run(|| {
        let stranger = thread::spawn(move || {
            let nobody = Uid::from_raw(65_534);
            set_thread_uid(nobody).unwrap();
            let socket = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
            let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).unwrap();
            bind(&socket, &address).unwrap();
            listen(&socket, 1).unwrap();
            socket
        });
        stranger.join().unwrap()
    });
    let mut running = machine.start();
    let line = running.log_until("somebody else has the name");
    assert!(
        line.contains("ERROR") && line.contains("user=65534"),
        "{line}"
    );
    assert_eq!(machine.get("/readyz").0, 200);
    // Its socket still tells.
    assert!(refused(&machine, "run").contains("is running already"));
    drop(taken);
    running.stop();
}

#[test]
fn state_that_cannot_be_read_does_not_keep_the_filter_off() {
    let machine = Machine::new();
    // Neither a file in the place of the directory nor directories in the place of
    // files can be read by anyone.
    fs::create_dir(machine.state()).unwrap();
    fs::write(machine.state().join(&machine.instance), "").unwrap();
    let mut running = machine.start();
    running.log_until("the configuration in force cannot be kept");
    assert_eq!(machine.get("/readyz").0, 200);
    running.stop();
    fs::remove_file(machine.state().join(&machine.instance)).unwrap();
    for name in ["confirmed.tar", "exemptions.json", "unconfirmed.json"] {
        fs::create_dir_all(machine.state_file(name)).unwrap();
    }
    let mut running = machine.start();
    for _ in 0..3 {
        running.log_until("what an earlier run left cannot be used");
    }
    assert_eq!(machine.get("/readyz").0, 200);
    done(&machine, "confirm");
    assert!(machine.state_file("confirmed.tar").is_file());
    running.stop();
}

#[test]
fn an_exemption_that_ends_while_a_reload_goes_on_is_said_to_end() {
    let machine = provider_machine();
    let mut running = machine.start();
    done(
        &machine,
        "exempt add 203.0.113.9 80 --expires 1s --reason short",
    );
    // Whoever comes first, it is said once. The clock may have been wrong: it is kept.
    done(&machine, "reload");
    let line = running.log_until("temporary exemption has expired and no longer exempts");
    assert!(line.contains("203.0.113.9/32"), "{line}");
    let kept = fs::read_to_string(machine.state_file("exemptions.json")).unwrap();
    assert!(kept.contains("203.0.113.9"), "{kept}");
    assert_eq!(machine.status()["temporary"], json!([]));
    running.stop();
}

#[test]
fn the_state_is_where_systemd_says() {
    let machine = provider_machine();
    machine.start().stop();
    assert!(machine.state_file("confirmed.tar").exists());
    assert!(
        !Path::new("/var/lib/poolguard")
            .join(&machine.instance)
            .exists()
    );
}
