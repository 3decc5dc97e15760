//! Files to a draft.

use std::{
    collections::HashSet,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use filter_common::{ReturnTraffic, Role, Sources};
use glob::Pattern;
use sha2::{Digest as _, Sha256};

use super::{
    draft::{CustomerDraft, Draft, InterfaceDraft, MailDraft, PoolDraft, WireDraft},
    files::{Files, Unreadable, Unseen, matching_visible},
    mistakes::Mistakes,
    model::{Attach, Egress, Included, IncludedBy, PoolKind, Source},
    near,
    reader::{List, Table},
    report::Diagnostic,
    syntax,
    text::{Place, Placed, Text},
    values::{
        boolean, choice, expires, include, interface_name, listen, mail_port, max_change, name,
        pool_name, port_spec, prefix, ticket,
    },
    words::{is_line, quoted, shown},
};

/// Reads `main` and what it includes. Also gives the texts that were read.
pub(super) fn read(
    files: &dyn Files,
    main: &Path,
    mistakes: &mut Mistakes,
) -> (Draft, Vec<Arc<Text>>) {
    let mut reading = Reading {
        files,
        mistakes,
        draft: Draft::default(),
        read: Vec::new(),
        seen: HashSet::from([plain(main)]),
        patterns: Vec::new(),
    };
    reading.main(main);
    reading.draft.lists.finish();
    reading.draft.hash = hash(&reading.read);
    (reading.draft, reading.read)
}

fn hash(texts: &[Arc<Text>]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        let content = text.content().as_bytes();
        hash.update((content.len() as u64).to_be_bytes());
        hash.update(content);
    }
    let bytes = hash.finalize();
    bytes[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

struct Reading<'a> {
    files: &'a dyn Files,
    mistakes: &'a mut Mistakes,
    draft: Draft,
    read: Vec<Arc<Text>>,
    seen: HashSet<PathBuf>,
    patterns: Vec<NamedByPattern>,
}

/// An entry of `include` or `customer_lists` with wildcards in it.
struct NamedByPattern {
    pattern: Pattern,
    entry: Placed<String>,
    has_matched: bool,
}

impl Reading<'_> {
    fn main(&mut self, path: &Path) {
        if !is_line(&path.to_string_lossy()) {
            let message = "the path of the configuration has control characters in it";
            let diagnostic = Diagnostic::error_in(Path::new("--config"), message);
            let help = "rename it: reports, logs and `explain` name it";
            return self.mistakes.push_unreadable(None, diagnostic.help(help));
        }
        let content = match self.files.read(path) {
            Ok(content) => content,
            Err(error) => {
                let message = format!("cannot read the configuration: {}", error.why);
                let diagnostic = Diagnostic::error_in(path, message);
                let help = "check the path, or name another one with --config";
                let diagnostic = diagnostic.help(error.help.as_deref().unwrap_or(help));
                self.mistakes.push_unreadable(None, diagnostic);
                return;
            }
        };
        let (mut patterns, mut lists) = (None, None);
        self.parse(path, content, |table, draft| {
            draft.monitor = read_monitor(table);
            draft.is_wire = table.optional("forwarding", |value| {
                // Either could be meant by anything else.
                choice(FORWARDING)(value).map_err(|wrong| wrong.meaning(true))
            });
            let limit = table.optional("max_change", max_change);
            draft.max_change = limit.map(|limit| limit.value);
            patterns = table.list("include", include);
            lists = table.list("customer_lists", include);
            read_box(table, draft);
            read_items(table, draft);
        });
        let directory = path.parent().unwrap_or(Path::new(""));
        for (named, key) in [
            (patterns, IncludedBy::Include),
            (lists, IncludedBy::CustomerLists),
        ] {
            for pattern in named.iter().flat_map(|list: &List<_>| &list.items) {
                let before = (self.read.len(), self.draft.lists.rows().len());
                self.include(directory, pattern, key);
                let texts = &self.read[before.0..];
                self.draft.included.push(Included {
                    key,
                    pattern: pattern.value.clone(),
                    amount: match key {
                        IncludedBy::Include => texts.len(),
                        IncludedBy::CustomerLists => self.draft.lists.rows().len() - before.1,
                    },
                    files: texts.iter().map(|text| text.path().to_owned()).collect(),
                });
            }
        }
        let patterns = std::mem::take(&mut self.patterns);
        for NamedByPattern {
            pattern,
            entry,
            has_matched,
        } in patterns
        {
            let is_read = |path: &Path| self.seen.contains(&plain(path));
            let (written, place) = (&entry.value, &entry.place);
            let warnings =
                near::warnings(self.files, &pattern, written, place, has_matched, is_read);
            warnings
                .into_iter()
                .for_each(|warning| self.mistakes.push(warning));
        }
    }

    /// Reads what one entry of `include` or `customer_lists` names.
    fn include(&mut self, directory: &Path, pattern: &Placed<String>, form: IncludedBy) {
        const WILDCARDS: [char; 3] = ['*', '?', '['];
        if !pattern.value.contains(WILDCARDS) {
            let path = directory.join(&pattern.value);
            if !self.seen.insert(plain(&path)) {
                let message = format!("{} is read already", quoted(&pattern.value));
                let help = "name each file once";
                self.mistakes
                    .push(Diagnostic::error(&pattern.place, message).help(help));
                return;
            }
            return self.included(&path, &pattern.place, form);
        }
        let Some(full) = in_directory(directory, &pattern.value) else {
            let message = format!("{} is not a path in UTF-8", shown(directory));
            let help = "write patterns in a directory with a plain name";
            self.mistakes
                .push_unreadable(None, Diagnostic::error(&pattern.place, message).help(help));
            return;
        };
        let matching = matching_visible(self.files, &full);
        self.patterns.push(NamedByPattern {
            pattern: full,
            entry: pattern.clone(),
            has_matched: !matching.is_empty(),
        });
        for path in matching {
            match path {
                // What two patterns match is read once, and so is this file.
                Ok(path) if !self.seen.insert(plain(&path)) => {}
                Ok(path) => self.included(&path, &pattern.place, form),
                Err(Unseen { path, error }) => {
                    self.cannot_include(&pattern.place, &path, error);
                }
            }
        }
    }

    fn included(&mut self, path: &Path, from: &Place, form: IncludedBy) {
        if !is_line(&path.to_string_lossy()) {
            let error = Unreadable {
                why: "its name has control characters in it".to_owned(),
                help: Some("rename it: reports, logs and `explain` name it".to_owned()),
            };
            return self.cannot_include(from, path, error);
        }
        match (self.files.read(path), form) {
            (Ok(content), IncludedBy::Include) => self.parse(path, content, |table, draft| {
                table.warn_if_empty();
                refuse_box(table);
                read_items(table, draft);
            }),
            (Ok(content), IncludedBy::CustomerLists) => {
                if let Some(text) = self.text(path, content) {
                    self.draft.lists.read(text, self.mistakes);
                }
            }
            (Err(error), _) => self.cannot_include(from, path, error),
        }
    }

    fn cannot_include(&mut self, from: &Place, path: &Path, error: Unreadable) {
        let Unreadable { why, help } = error;
        let (path, relative) = (
            shown(path),
            "includes are relative to the file that names them",
        );
        let (message, help) = match help {
            Some(help) => (format!("cannot read {path}: {why}"), help),
            None => (format!("{path} does not exist"), relative.to_owned()),
        };
        self.mistakes
            .push_unreadable(None, Diagnostic::error(from, message).help(help));
    }

    fn parse(
        &mut self,
        path: &Path,
        content: Vec<u8>,
        read: impl FnOnce(&mut Table<'_, '_>, &mut Draft),
    ) {
        let Some(text) = self.text(path, content) else {
            return;
        };
        let entries = syntax::parse(&text, self.mistakes);
        Table::read_file(&text, &entries, self.mistakes, |table| {
            read(table, &mut self.draft);
        });
    }

    /// The text of a file, if it is one.
    fn text(&mut self, path: &Path, content: Vec<u8>) -> Option<Arc<Text>> {
        let order = self.read.len();
        match String::from_utf8(content) {
            Ok(content) => {
                let text = Arc::new(Text::new(path, content, order));
                self.read.push(Arc::clone(&text));
                Some(text)
            }
            Err(error) => {
                self.not_utf8(path, &error.utf8_error(), error.as_bytes(), order);
                None
            }
        }
    }

    fn not_utf8(&mut self, path: &Path, error: &std::str::Utf8Error, bytes: &[u8], order: usize) {
        // What is shown in place of the first bad byte is where that byte was.
        let content = String::from_utf8_lossy(bytes).into_owned();
        let text = Arc::new(Text::new(path, content, order));
        if [[0xff, 0xfe], [0xfe, 0xff]]
            .iter()
            .any(|mark| bytes.starts_with(mark))
        {
            let help = "save the file as UTF-8: `iconv -f UTF-16 -t UTF-8 < old > new`";
            let diagnostic = Diagnostic::error_in(path, "text in UTF-16").help(help);
            return self.mistakes.push_unreadable(Some(&text), diagnostic);
        }
        let at = error.valid_up_to();
        let bad = at..at + char::REPLACEMENT_CHARACTER.len_utf8();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let message = format!("byte 0x{byte:02x} is not UTF-8");
        let diagnostic = Diagnostic::error(&Place::new(&text, bad), message);
        // The first 256 characters of Unicode are those of ISO 8859-1.
        let help = match char::from(byte) {
            c if c.is_control() => "save the file as UTF-8".to_owned(),
            c => format!("save the file as UTF-8: the byte is `{c}` in ISO 8859-1"),
        };
        self.mistakes
            .push_unreadable(Some(&text), diagnostic.help(help));
        self.read.push(text);
    }
}

/// `pattern` relative to `directory`, whose own name is no pattern.
fn in_directory(directory: &Path, pattern: &str) -> Option<Pattern> {
    let directory = Pattern::escape(directory.to_str()?);
    let full = Path::new(&directory).join(pattern);
    Pattern::new(full.to_str()?).ok()
}

/// A path without the `.` that makes two of one.
fn plain(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| !matches!(component, Component::CurDir))
        .collect()
}

const ENFORCEMENT: &[(&str, bool)] = &[("enforce", false), ("monitor", true)];

/// Of the box, and of an interface.
const FORWARDING: &[(&str, bool)] = &[("kernel", false), ("wire", true)];

const ROLES: &[(&str, Role)] = &[
    (Role::Customer.name(), Role::Customer),
    (Role::Network.name(), Role::Network),
    (Role::Mixed.name(), Role::Mixed),
];

const ATTACH: &[(&str, Attach)] = &[
    (Attach::Native.name(), Attach::Native),
    (Attach::Generic.name(), Attach::Generic),
];

const SOURCES: &[(&str, Sources)] = &[
    (Sources::Any.name(), Sources::Any),
    (Sources::Monitor.name(), Sources::Monitor),
    (Sources::Pools.name(), Sources::Pools),
];

const EGRESS: &[(&str, Egress)] = &[
    (Egress::Filter.name(), Egress::Filter),
    (Egress::Off.name(), Egress::Off),
];

const RETURN_TRAFFIC: &[(&str, ReturnTraffic)] = &[
    (ReturnTraffic::Track.name(), ReturnTraffic::Track),
    (ReturnTraffic::Syn.name(), ReturnTraffic::Syn),
    (ReturnTraffic::Drop.name(), ReturnTraffic::Drop),
];

/// Of `direct_smtp` and `smtp_replies`.
const PASS: &[(&str, bool)] = &[("drop", false), ("pass", true)];

const KINDS: &[(&str, PoolKind)] = &[
    (PoolKind::Dynamic.name(), PoolKind::Dynamic),
    (PoolKind::VirtualPop.name(), PoolKind::VirtualPop),
    (PoolKind::Static.name(), PoolKind::Static),
];

/// What holds for the whole box.
fn read_box(table: &mut Table<'_, '_>, draft: &mut Draft) {
    table.table("[ports]", |ports| {
        draft.forbidden = ports.list("forbidden", port_spec);
        let return_traffic = ports.optional("return_traffic", choice(RETURN_TRAFFIC));
        draft.return_traffic = return_traffic.map_or_else(Default::default, |given| given.value);
    });
    let help =
        "add it, with the mail servers that customers may use: `servers = []` if there are none";
    draft.mail = table.required_table("[mail]", help, read_mail);
    let listen = table.table("[metrics]", |metrics| metrics.optional("listen", listen));
    draft.listen = listen.flatten().map(|listen| listen.value);
    draft.wires = table.tables("[[wire]]", |wire| WireDraft {
        place: wire.place(),
        ends: wire.required_list("ends", "[\"eth1\", \"eth0\"]", interface_name),
    });
}

fn read_monitor(table: &mut Table<'_, '_>) -> bool {
    table
        .optional("enforcement", choice(ENFORCEMENT))
        .is_some_and(|monitor| monitor.value)
}

fn read_mail(table: &mut Table<'_, '_>) -> MailDraft {
    let servers = table.required_list("servers", "[\"192.0.2.25\"]", prefix);
    let ports = table.list("ports", mail_port);
    if let Some(ports) = ports.as_ref().filter(|ports| ports.is_empty()) {
        let diagnostic = Diagnostic::error(&ports.place, "no mail port is listed");
        let help = "write [25]; `direct_smtp = \"pass\"` is what switches rule 5 off";
        table.mistakes.push(diagnostic.help(help));
    }
    let direct_smtp = table.optional("direct_smtp", choice(PASS));
    let smtp_replies = table.optional("smtp_replies", choice(PASS));
    MailDraft {
        servers,
        ports,
        direct_smtp: direct_smtp.is_some_and(|direct| direct.value),
        smtp_replies,
    }
}

/// What is written once for each interface, pool or customer.
fn read_items(table: &mut Table<'_, '_>, draft: &mut Draft) {
    let interfaces = table.tables("[[interface]]", read_interface);
    let pools = table.tables("[[pool]]", read_pool);
    let customers = table.tables("[[customer]]", read_customer);
    draft.interfaces.extend(interfaces);
    draft.pools.extend(pools);
    draft.customers.extend(customers);
}

fn read_interface(table: &mut Table<'_, '_>) -> InterfaceDraft {
    let attach = table.optional("attach", choice(ATTACH));
    let sources = table.optional("sources", choice(SOURCES));
    let is_wire = table.optional("forwarding", choice(FORWARDING));
    let egress = table.optional("egress", choice(EGRESS));
    InterfaceDraft {
        place: table.place(),
        name: table.required("name", "\"eth0\"", interface_name),
        role: table
            .required(
                "role",
                "\"customer\"`, `\"network\"` or `\"mixed\"",
                choice(ROLES),
            )
            .map(|role| role.value),
        attach,
        sources,
        is_wire,
        egress,
    }
}

fn read_pool(table: &mut Table<'_, '_>) -> PoolDraft {
    let kinds = "\"dynamic\"`, `\"virtual-pop\"` or `\"static\"";
    PoolDraft {
        place: table.place(),
        name: table.required("name", "\"dialup-east\"", pool_name),
        kind: table.required("kind", kinds, choice(KINDS)),
        prefixes: read_prefixes(table),
        forbidden: table.list("forbidden", port_spec),
        monitor: read_monitor(table),
    }
}

fn read_customer(table: &mut Table<'_, '_>) -> CustomerDraft {
    CustomerDraft {
        place: table.place(),
        name: table.required("name", "\"acme\"", name),
        prefixes: read_prefixes(table),
        allow_inbound: table.list("allow_inbound", port_spec),
        allow_smtp_out: table.optional("allow_smtp_out", boolean),
        ticket: table.optional("ticket", ticket).map(|ticket| ticket.value),
        expires: table.optional("expires", expires),
        source: Source {
            file: table.text().path().to_owned(),
            line: table.line(),
        },
    }
}

fn read_prefixes(table: &mut Table<'_, '_>) -> Option<List<ipnet::IpNet>> {
    let example = "[\"198.51.100.0/24\"]";
    let prefixes = table.required_list("prefixes", example, prefix);
    if let Some(prefixes) = prefixes.as_ref().filter(|prefixes| prefixes.is_empty()) {
        let diagnostic = Diagnostic::error(&prefixes.place, "no prefix is listed");
        let help = format!("write one or more: {example}");
        table.mistakes.push(diagnostic.help(help));
    }
    prefixes
}

/// What holds for the whole box is written in one place.
fn refuse_box(table: &mut Table<'_, '_>) {
    const BOX: [(&str, &str); 9] = [
        ("enforcement", "`enforcement` in an included file"),
        ("forwarding", "`forwarding` in an included file"),
        ("max_change", "`max_change` in an included file"),
        ("include", "`include` in an included file"),
        ("customer_lists", "`customer_lists` in an included file"),
        ("ports", "`[ports]` in an included file"),
        ("mail", "`[mail]` in an included file"),
        ("metrics", "`[metrics]` in an included file"),
        ("wire", "`[[wire]]` in an included file"),
    ];
    for (key, message) in BOX {
        let help = "move it to the main file: included files hold [[interface]], [[pool]] and [[customer]]";
        table.refuse(key, message, help);
    }
}
